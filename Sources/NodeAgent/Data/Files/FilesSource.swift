import BasculeModel
import Glibc

/// How to reach the source: an ssh configuration of this run's own, in a directory that only we can read.
final class FilesSource {
    let user: String
    let host: String
    let path: String
    private let directory: String
    private let isCancelled: () -> Bool

    /// What ssh and rsync call the source; everything else stands in the configuration.
    static let alias = "bascule-source"

    init(_ move: FilesMove, isCancelled: @escaping () -> Bool) throws {
        (user, host, path) = try Self.parse(move.from)
        self.isCancelled = isCancelled
        let key = move.hostKey.split(separator: " ")
        guard key.count >= 2, Self.isPlain(key[0], "-@."), Self.isPlain(key[1], "+/=") else {
            throw Self.invalid("The host key is not a type and its base64", move.from)
        }
        guard move.identity.hasPrefix("/"),
            !move.identity.utf8.contains(where: { $0 < 32 || "\"%$\\".utf8.contains($0) })
        else { throw Self.invalid("The path of the private key is not absolute and plain", move.from) }
        var template = Array("/tmp/bascule-ssh-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BasculeError(.inputOutput, "Could not make a directory", cause: String(cString: strerror(errno)))
        }
        directory = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        try Self.write("\(Self.alias) \(key[0]) \(key[1])\n", to: directory + "/known_hosts")
        let lines = [
            "Host \(Self.alias)", "HostName \(host)", "User \(user)", "Port \(move.port)",
            "IdentityFile \"\(move.identity)\"", "IdentitiesOnly yes", "IdentityAgent none", "BatchMode yes",
            "StrictHostKeyChecking yes", "HostKeyAlias \(Self.alias)", "HostKeyAlgorithms \(Self.algorithms(key[0]))",
            "UserKnownHostsFile \(directory)/known_hosts", "GlobalKnownHostsFile /dev/null", "UpdateHostKeys no",
            "ForwardAgent no", "ForwardX11 no", "ClearAllForwardings yes", "ControlMaster no", "ControlPath none",
            "ConnectTimeout 15", "ServerAliveInterval 15", "ServerAliveCountMax 4", "LogLevel ERROR",
        ]
        try Self.write(lines.joined(separator: "\n") + "\n", to: configuration)
    }

    deinit {
        unlink(directory + "/known_hosts")
        unlink(configuration)
        rmdir(directory)
    }

    var configuration: String { directory + "/config" }

    /// rsync's own remote shell: it splits this at spaces, and there are none in the directory's name.
    var remoteShell: String { "ssh -F \(configuration)" }

    /// Runs one fixed command in the tree at the source.
    func command(_ script: String) -> FilesCommand {
        let quoted = "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        return FilesCommand(
            program: "ssh",
            arguments: [
                "-F", configuration, "-T", "--", Self.alias, "cd -- \(quoted) && export LC_ALL=C && \(script)",
            ],
            isCancelled: isCancelled)
    }

    /// ssh's own failures as errors; nil if the failure is the remote command's.
    func unreachable(_ ending: FilesCommand.Ending) -> BasculeError? {
        let text = String(decoding: ending.complaint, as: UTF8.self)
        let isKey = text.contains("Host key verification failed") || text.contains("host key")
        let isLogin = text.contains("Permission denied (")
        guard ending.status == 255 || isKey || isLogin else { return nil }
        let hint =
            isKey
            ? "Compare the host key in the fleet file with the source's own, on its console."
            : isLogin
                ? "Add the node's public key to the account's authorized_keys."
                : "Check host, port and firewall from the node."
        return BasculeError(
            .filesSourceUnreachable,
            isKey ? "The source's host key is not the declared one" : "SSH to the source failed",
            at: .thing("\(user)@\(host)"), cause: printable(ending.complaint.suffix(300), limit: 400), hint: hint)
    }

    private static func algorithms(_ type: Substring) -> String {
        type == "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : String(type)
    }

    private static func isPlain(_ text: Substring, _ more: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || more.utf8.contains($0)
            }
    }

    private static func parse(_ from: String) throws -> (user: String, host: String, path: String) {
        guard let at = from.firstIndex(of: "@") else { throw invalid("The source names no user", from) }
        let user = from[..<at]
        let rest = from[from.index(after: at)...]
        let afterHost = rest.hasPrefix("[") ? rest.firstIndex(of: "]") ?? rest.startIndex : rest.startIndex
        guard let colon = rest[afterHost...].firstIndex(of: ":") else {
            throw invalid("The source names no path", from)
        }
        let path = rest[rest.index(after: colon)...]
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard isPlain(user, "-_."), isPlain(host, "-_.:"), !user.hasPrefix("-"), !host.hasPrefix("-") else {
            throw invalid("User or host of the source holds a character that does not belong there", from)
        }
        guard path.hasPrefix("/"), path.count > 1, !path.utf8.contains(where: { $0 < 32 }) else {
            throw invalid("The source's path is not absolute and printable, or it is the root", from)
        }
        return (String(user), String(host), String(path))
    }

    private static func invalid(_ message: String, _ from: String) -> BasculeError {
        BasculeError(
            .invalidInput, message, at: .thing(printable(from.utf8)), hint: "Write it as user@host:/absolute/path.")
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw BasculeError(.inputOutput, "Could not write \(path)", cause: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw BasculeError(.inputOutput, "Could not write \(path)", cause: String(cString: strerror(errno)))
        }
    }
}
