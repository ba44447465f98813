import BasculeCrypto
import BasculeModel
import Glibc

/// apt repositories in deb822 format, each with a key that counts for it alone.
enum AptRepositoryKeeper {
    static func sourcePath(_ name: String) -> String { "/etc/apt/sources.list.d/\(name).sources" }
    static func keyPath(_ name: String) -> String { "/etc/apt/keyrings/\(name).asc" }

    static func observe(_ spec: AptRepositorySpec, _ context: NodeContext) throws -> AptRepositoryObserved {
        let source = try FileDigests.hash(sourcePath(spec.name))
        let key = try FileDigests.hash(keyPath(spec.name))
        let desired =
            spec.state == .present
            ? Digest(of: SHA256.hash(Array(text(spec).utf8)) + SHA256.hash(try context.bytes(of: spec.key))) : nil
        let present = source == nil && key == nil ? nil : Digest(of: (source ?? []) + (key ?? []))
        return AptRepositoryObserved(
            digest: present, desiredDigest: desired, fetched: present.map { isFetched(spec, $0, context) } ?? false)
    }

    static func apply(_ spec: AptRepositorySpec, _ context: NodeContext) throws {
        try check(spec)
        guard spec.state == .present else {
            try ParentDirectory.find(sourcePath(spec.name))?.remove()
            try ParentDirectory.find(keyPath(spec.name))?.remove()
            try ParentDirectory.find(mark(spec.name, context))?.remove()
            return
        }
        let old = (try AtomicFile.read(sourcePath(spec.name)), try AtomicFile.read(keyPath(spec.name)))
        try AtomicFile.write(keyPath(spec.name), try context.bytes(of: spec.key), Permissions(mode: 0o644))
        try AtomicFile.write(sourcePath(spec.name), Array(text(spec).utf8), Permissions(mode: 0o644))
        do {
            let only = [
                "-o", "Dir::Etc::sourcelist=sources.list.d/\(spec.name).sources", "-o", "Dir::Etc::sourceparts=-",
                "-o", "APT::Get::List-Cleanup=0", "--error-on=any",
            ]
            try Apt.update(context, only: only)
        } catch {
            try putBack(sourcePath(spec.name), old.0)
            try putBack(keyPath(spec.name), old.1)
            let cause = (error as? BasculeError)?.cause
            throw BasculeError(
                .repositoryRefused, "The apt repository \(spec.name) could not be read; it was taken away again",
                at: .thing(spec.uris.joined(separator: " ")), cause: cause,
                hint: "check its address, suite and signing key")
        }
        if let digest = try observe(spec, context).digest { try StateFile.save(mark(spec.name, context), digest) }
    }

    static func text(_ spec: AptRepositorySpec) -> String {
        var lines = [
            "# Managed by Bascule.", "Types: deb", "URIs: \(spec.uris.joined(separator: " "))",
            "Suites: \(spec.suites.joined(separator: " "))",
        ]
        if !spec.components.isEmpty { lines.append("Components: \(spec.components.joined(separator: " "))") }
        lines.append("Signed-By: \(keyPath(spec.name))")
        return lines.joined(separator: "\n") + "\n"
    }

    /// Its lists were fetched with exactly this source and key, and are still there.
    private static func isFetched(_ spec: AptRepositorySpec, _ digest: Digest, _ context: NodeContext) -> Bool {
        guard StateFile.load(mark(spec.name, context), as: Digest.self) == digest else { return false }
        let names = directoryNames("/var/lib/apt/lists") ?? []
        return spec.uris.allSatisfy { uri in
            let stem = listStem(uri)
            return names.contains { $0.hasPrefix(stem) }
        }
    }

    /// How apt names the lists of an address: without scheme, slashes as underscores.
    static func listStem(_ uri: String) -> String {
        var text = uri.split(separator: ":", maxSplits: 1).last.map(String.init) ?? uri
        while text.hasPrefix("/") { text.removeFirst() }
        while text.hasSuffix("/") { text.removeLast() }
        let path = text.replacing("_", with: "%5f").replacing("/", with: "_")
        return uri.hasPrefix("file:") || uri.hasPrefix("copy:") ? "_" + path : path
    }

    private static func mark(_ name: String, _ context: NodeContext) -> String {
        "\(context.stateDirectory)/repositories/\(name).json"
    }

    private static func putBack(_ path: String, _ old: [UInt8]?) throws {
        if let old {
            try AtomicFile.write(path, old, Permissions(mode: 0o644))
        } else {
            try ParentDirectory.find(path)?.remove()
        }
    }

    private static func check(_ spec: AptRepositorySpec) throws {
        let words = [spec.name] + spec.uris + spec.suites + spec.components
        guard !spec.name.isEmpty, !spec.name.contains("/"), !spec.name.hasPrefix("."), !spec.uris.isEmpty,
            words.allSatisfy({ word in !word.contains { $0.isWhitespace || $0.isNewline } })
        else { throw BasculeError(.invalidInput, "The apt repository is not well-formed", at: .thing(spec.name)) }
    }
}
