import BasculeModel
import Glibc

/// Unpacks an uploaded tar archive as the app's user.
enum ReleaseArchive {
    static func unpack(_ spec: ReleaseSpec, _ context: NodeContext) throws {
        var input = Subprocess.Options(deadline: .seconds(600), isCancelled: context.isCancelled)
        var isCompressed = false
        switch spec.archive {
        case .blob(let digest, _):
            let path = context.blobPath(digest)
            guard let identity = FileIdentity(path: path), identity.size > 0 else {
                throw BasculeError(
                    .missingPrerequisite, "The app's archive is not on this node", at: .thing(spec.app),
                    hint: "apply again: the controller uploads what is missing")
            }
            isCompressed = try startsCompressed(path)
            input.stdinPath = path
        case .parts:
            input.stdin = try context.bytes(of: spec.archive)
            isCompressed = input.stdin.starts(with: [0x1f, 0x8b])
        }
        let compression = isCompressed ? ["--gzip"] : []
        input.limit = listLimit
        let list = try Subprocess.require(
            ["tar", "--list", "--file=-", "--quoting-style=escape"] + compression, "Reading the archive of \(spec.app)",
            code: .buildFailed, input)
        // What was cut off was not looked at.
        guard list.stdout.count < listLimit else {
            throw BasculeError(
                .buildFailed, "The archive of \(spec.app) has more members than can be checked",
                hint: "leave node_modules and the like out of it: the build brings them back")
        }
        if let bad = list.text.split(separator: "\n").first(where: { !isSafe($0) }) {
            throw BasculeError(
                .buildFailed, "The archive of \(spec.app) has a member outside of itself",
                at: .thing(String(bad.prefix(200))))
        }
        input.user = spec.user
        input.directory = "\(spec.directory)/app"
        try Subprocess.require(
            ["tar", "--extract", "--file=-", "--no-same-owner", "--no-same-permissions"] + compression,
            "Unpacking the archive of \(spec.app)", code: .buildFailed, input)
    }

    /// Bytes of the members' names: some 100,000 files with long paths.
    private static let listLimit = 16 << 20

    /// A relative path that stays below.
    static func isSafe(_ member: Substring) -> Bool {
        !member.hasPrefix("/") && !member.split(separator: "/").contains("..")
    }

    private static func startsCompressed(_ path: String) throws -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw systemError("read", path) }
        defer { close(file) }
        var head: [UInt8] = [0, 0]
        return read(file, &head, 2) == 2 && head == [0x1f, 0x8b]
    }
}
