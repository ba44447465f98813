import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeProviders
import Foundation

/// An app's source as one tar archive: the same bytes for the same source, whoever makes it and when.
enum AppArchive {
    /// The archive's bytes.
    static func make(_ app: App, name: AppName, fleetFolder: String) async throws -> [UInt8] {
        switch app.source {
        case .path(let path):
            let folder = path.hasPrefix("/") ? path : "\(fleetFolder)/\(path)"
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory), isDirectory.boolValue
            else {
                throw BasculeError(
                    .inputOutput, "the source folder \(path) of the app \(name) is not there",
                    hint: "apps.\(name).source.path is relative to the fleet file")
            }
            return try await tar(folder, name)
        case .git(let url, let ref):
            let checkout = NSTemporaryDirectory() + "bascule-\(RandomBytes.identifier())"
            defer { try? FileManager.default.removeItem(atPath: checkout) }
            _ = try await Command.run(
                ["git", "clone", "--quiet", "--depth", "1", "--branch", ref, "--", url, checkout],
                environment: ["GIT_TERMINAL_PROMPT": "0"], deadline: .seconds(600)
            ).requireSuccess("cloning the source of the app \(name)")
            return try await tar(checkout, name)
        case .archive(let path):
            let file = path.hasPrefix("/") ? path : "\(fleetFolder)/\(path)"
            guard let data = FileManager.default.contents(atPath: file) else {
                throw BasculeError(.inputOutput, "the archive \(path) of the app \(name) cannot be read")
            }
            return [UInt8](data)
        }
    }

    /// A folder, packed as an apply packs it, or an archive as it is.
    static func make(from path: String, name: String) async throws -> [UInt8] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw BasculeError(.inputOutput, "the source \(path) is not there", hint: "--source DIR or ARCHIVE")
        }
        if isDirectory.boolValue { return try await tar(path, AppName(name)) }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw BasculeError(.inputOutput, "the archive \(path) cannot be read")
        }
        return [UInt8](data)
    }

    private static func tar(_ folder: String, _ name: AppName) async throws -> [UInt8] {
        let result = try await Command.run(
            [
                "tar", "--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
                "--mode=u=rwX,go=rX", "--format=ustar",
                "--exclude=./.git", "--exclude=./node_modules", "--directory", folder, ".",
            ], deadline: .seconds(300), limit: 1 << 30
        ).requireSuccess("packing the source of the app \(name)")
        return result.stdout
    }
}
