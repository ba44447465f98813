import BasculeCrypto
import BasculeModel
import Glibc

/// With which files a unit was last started and reloaded by us: what makes a lost restart an observable difference.
package struct UnitRecord: Codable, Hashable, Sendable {
    /// The run of the unit that this is about.
    package var invocation: String
    /// Keyed digests by path, as they were when the unit was last started.
    package var restart: [String: Digest]
    /// As they were when it was last started or reloaded.
    package var reload: [String: Digest]
    /// When systemd last changed the unit's state by then, and each file of `reload` was last written; nil in records of
    /// older agents.
    package var stateChanged: UInt64?
    package var written: [String: Int64]?

    /// - Parameter status: as it was right after the start or the reload.
    init(_ status: UnitStatus, restart: [String: Digest], reload: [String: Digest]) {
        (invocation, self.restart, self.reload) = (status.invocation, restart, reload)
        stateChanged = status.stateChanged
        written = Dictionary(uniqueKeysWithValues: reload.keys.map { ($0, Self.written($0)) })
    }

    /// Whether somebody else reloaded the unit after a file of `paths` was written anew: though it is as it was, what was
    /// read in between may have been something else.
    func mayHaveReadOthers(_ paths: [String], _ status: UnitStatus) -> Bool {
        guard let stateChanged, let written, stateChanged != status.stateChanged else { return false }
        return paths.contains { path in written[path].map { $0 != Self.written(path) } ?? false }
    }

    static func path(_ unit: String, _ context: NodeContext) -> String {
        "\(context.stateDirectory)/units/\(unit.replacing("/", with: "-")).json"
    }

    static func load(_ unit: String, _ context: NodeContext) -> UnitRecord? {
        StateFile.load(path(unit, context), as: UnitRecord.self)
    }

    /// Renews what is on record of a unit that reads its files anew for another reason than its own resource.
    static func rereading(_ unit: String, _ context: NodeContext, _ read: () throws -> Void) throws {
        let record = load(unit, context)
        // Noted before: a change in between asks for another reload, never for too few.
        let seen = try record.map { try Self.digests($0.reload.keys.sorted(), context) }
        try read()
        guard let record, let seen, let status = try UnitStatus.read([unit])[unit],
            status.invocation == record.invocation
        else { return }
        try UnitRecord(status, restart: record.restart, reload: seen).save(unit, context)
    }

    func save(_ unit: String, _ context: NodeContext) throws { try StateFile.save(Self.path(unit, context), self) }

    /// The files' state now. A directory stands for its files; a missing path has a digest of its own.
    static func digests(_ paths: [String], _ context: NodeContext) throws -> [String: Digest] {
        var found: [String: Digest] = [:]
        for path in paths { found[path] = try digest(path, context) }
        return found
    }

    private static func digest(_ path: String, _ context: NodeContext) throws -> Digest {
        var hash: [UInt8] = []
        // A link's target matters, not the link: nginx's enabled sites are links.
        let real = realPath(path) ?? path
        if let file = try FileDigests.hash(real) {
            hash = file
        } else if let names = directoryNames(real) {
            for name in names { hash += Array(name.utf8) + [0] + (try FileDigests.hash("\(real)/\(name)") ?? []) }
        }
        return context.digest(SHA256.hash(hash), secret: true)
    }

    /// Whether a running unit runs with other files than these.
    /// - Parameter known: the record's digests; nil where there is no record of this run, then times decide.
    static func isPending(
        _ paths: [String], known: [String: Digest]?, since: UInt64, _ context: NodeContext
    ) throws -> Bool {
        guard let known else { return paths.contains { modified($0) > since } }
        let now = try digests(paths, context)
        // A path that joined the list later is judged by its time.
        return paths.contains { path in known[path].map { $0 != now[path] } ?? (modified(path) > since) }
    }

    /// When a path, or a file in it, was last changed in any way, nanoseconds since 1970; 0 where it is missing.
    private static func written(_ path: String) -> Int64 {
        let real = realPath(path) ?? path
        func changed(_ path: String) -> Int64 {
            var status = stat()
            guard stat(path, &status) == 0 else { return 0 }
            return Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
        }
        return (directoryNames(real) ?? []).map { changed("\(real)/\($0)") }.reduce(changed(real), max)
    }

    /// When a path was last modified, microseconds since 1970; 0 where it is missing.
    private static func modified(_ path: String) -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { return 0 }
        return UInt64(max(0, status.st_mtim.tv_sec)) * 1_000_000 + UInt64(status.st_mtim.tv_nsec / 1000)
    }
}

/// The path with every link followed; nil where it does not exist.
func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}
