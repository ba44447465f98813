import BasculeModel
import BasculeProviders
import Foundation

/// A signed Debian repository of packages made by the test, in a folder of this machine; `serve` shows it to a node over
/// HTTP on the node's own loopback.
struct TinyArchive {
    /// One package: its scripts, files and control fields.
    struct Package {
        var name: String
        var version: String
        var files: [String: String] = [:]
        var conffiles: [String] = []
        /// `postinst`, `config`, `templates`… by name.
        var scripts: [String: String] = [:]
        var depends = ""
    }

    let folder: String
    /// The suite whose component `main` it is; nil for one without suites.
    let suite: String?
    private let keyHome: String
    /// Options of gpg that set its clock.
    private let clock: [String]

    /// - Parameter expired: the key was good for a day, two years ago.
    init(_ folder: String, expired: Bool = false, suite: String? = nil) async throws {
        (self.folder, self.suite) = (folder, suite)
        keyHome = "\(folder).gnupg"
        for path in [folder, keyHome] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        clock = expired ? ["--faked-system-time", "20240101T000000!"] : []
        try await gpg(clock + ["--quick-gen-key", "tiny archive <tiny@example.org>", "ed25519", "sign", "1d"])
    }

    /// The public key, as the fleet file's `key` names it.
    func publicKey() async throws -> String { try await gpg(["--armor", "--export"]).text }

    @discardableResult
    private func gpg(_ words: [String], stdin: String = "") async throws -> CommandResult {
        try await Command.run(
            ["gpg", "--homedir", keyHome, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
                + words,
            stdin: Array(stdin.utf8)
        ).requireSuccess("gpg", hint: "apt-get install gpg gpg-agent")
    }

    /// Replaces the archive's packages and signs its lists. Packages that are not named are gone from the pool.
    /// - Parameter files: packages made elsewhere, as files of this machine.
    func publish(_ packages: [Package], files: [String] = []) async throws {
        let top = suite.map { "\(folder)/dists/\($0)" } ?? folder
        let listed = suite == nil ? "Packages" : "main/binary-amd64/Packages"
        let before =
            (try? FileManager.default.attributesOfItem(atPath: "\(top)/InRelease")[.modificationDate]) as? Date
        for old in try FileManager.default.contentsOfDirectory(atPath: folder) {
            try FileManager.default.removeItem(atPath: "\(folder)/\(old)")
        }
        var stanzas = ""
        for package in packages { stanzas += try await build(package) + "\n" }
        for file in files {
            let name = URL(fileURLWithPath: file).lastPathComponent
            try FileManager.default.copyItem(atPath: file, toPath: "\(folder)/\(name)")
            let control = try await Command.run(["dpkg-deb", "--field", file]).requireSuccess("dpkg-deb", hint: nil)
                .text
            stanzas += try await stanza(control, name) + "\n"
        }
        let list = "\(top)/\(listed)"
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: list).deletingLastPathComponent(), withIntermediateDirectories: true)
        try stanzas.write(toFile: list, atomically: true, encoding: .utf8)
        let release = """
            Origin: tiny
            Suite: \(suite ?? "./")
            \(suite == nil ? "" : "Components: main\nArchitectures: amd64\n")\
            Date: \(Self.date())
            Acquire-By-Hash: no
            SHA256:
             \(try await sha256(list)) \(stanzas.utf8.count) \(listed)

            """
        let signed = try await gpg(clock + ["--clearsign"], stdin: release)
        try signed.text.write(toFile: "\(top)/InRelease", atomically: true, encoding: .utf8)
        // HTTP counts in seconds: of two publications within one, the later would be "not modified".
        let time = max(Date(), before?.addingTimeInterval(2) ?? .distantPast)
        for name in ["InRelease", listed] {
            try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: "\(top)/\(name)")
        }
    }

    private func build(_ package: Package) async throws -> String {
        let root = "\(folder)/\(package.name).tree"
        func write(_ path: String, _ text: String, mode: Int = 0o644) throws {
            let url = URL(fileURLWithPath: "\(root)/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: url.path)
        }
        var control = "Package: \(package.name)\nVersion: \(package.version)\nArchitecture: all\n"
        control += "Maintainer: nobody <nobody@example.org>\nDescription: tiny\n"
        if !package.depends.isEmpty { control += "Depends: \(package.depends)\n" }
        try write("DEBIAN/control", control)
        for (path, text) in package.files { try write(path, text) }
        for (name, text) in package.scripts {
            try write("DEBIAN/\(name)", text, mode: name == "templates" ? 0o644 : 0o755)
        }
        if !package.conffiles.isEmpty {
            try write("DEBIAN/conffiles", package.conffiles.map { "/\($0)\n" }.joined())
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: root)
        let deb = "\(package.name)_\(package.version)_all.deb"
        _ = try await Command.run(["dpkg-deb", "--root-owner-group", "--build", root, "\(folder)/\(deb)"])
            .requireSuccess("dpkg-deb", hint: nil)
        try FileManager.default.removeItem(atPath: root)
        return try await stanza(control, deb)
    }

    /// A package of the pool as the list has it.
    private func stanza(_ control: String, _ deb: String) async throws -> String {
        let size = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(deb)")[.size] as? Int ?? 0
        return control + "Filename: ./\(deb)\nSize: \(size)\nSHA256: \(try await sha256("\(folder)/\(deb)"))\n"
    }

    private func sha256(_ path: String) async throws -> String {
        let result = try await Command.run(["sha256sum", path]).requireSuccess("sha256sum", hint: nil)
        return String(result.text.prefix(64))
    }

    private static func date() -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'UTC'"
        return formatter.string(from: Date())
    }

    /// A web server on a node's own loopback, run from this machine inside the node's network alone.
    func serve(on node: NodeName, of scene: Scene, port: Int) async throws -> Running {
        guard let leader = try await scene.lab.node(node).leader else {
            throw BasculeError(.commandFailed, "the node \(node) does not run")
        }
        let server = try Running(
            [
                "/usr/bin/nsenter", "-t", "\(leader)", "-n", "python3", "-u", "-m", "http.server", "--bind",
                "127.0.0.1", "--directory", folder, "\(port)",
            ], environment: [:])
        guard try await server.says("Serving", within: 10) else {
            throw BasculeError(.commandFailed, "the archive's server did not start", cause: server.output)
        }
        return server
    }
}
