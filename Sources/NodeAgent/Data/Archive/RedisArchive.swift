import BasculeModel

/// Every key's DUMP with its expiry, as the very commands that restore it: `redis-cli --pipe` sends them to a server, which
/// takes none whose key it has.
struct RedisArchive {
    let session: RedisSession
    let folder: ArchiveFolder
    let tell: (String, Int64, Int64, Int64?) throws -> Void

    func run(isFenced: Bool) throws -> Archiver.Count {
        defer { session.close() }
        let server = try session.source()
        let whole = session.move.keys == nil
        var count = Archiver.Count(unit: "keys", count: 0, expected: nil, sourceBytes: 0)
        count.sourceBytes = Int64(server.info["used_memory_dataset"] ?? server.info["used_memory"] ?? "") ?? 0
        try folder.requireSpace(count.sourceBytes)
        var seen: Set<[UInt8]> = []
        var gone: Int64 = 0
        try folder.write("keys.resp") { file in
            var cursor = Array("0".utf8)
            repeat {
                // What was written of a page cannot be taken back, so a page is asked for whole before.
                let page = try session.retrying {
                    try server.connection.scan(
                        cursor: cursor, pattern: session.move.keys, count: session.move.batchKeys)
                }
                let keys = page.keys.filter { seen.insert($0).inserted }
                let states = try session.retrying { try server.states(of: keys, sizes: false) }
                let dumps = try server.connection.send(keys.map { RedisCommand("DUMP").with($0) })
                for (index, key) in keys.enumerated() {
                    if let text = dumps[index].refusalText { throw refusal(text, to: "DUMP", at: server.peer) }
                    guard let state = states[index], let dump = dumps[index].bytes else {
                        gone += 1
                        continue
                    }
                    var line: [UInt8] = []
                    RedisCommand("RESTORE").with(key).with(words: "\(state.expiry ?? 0)").with(dump)
                        .with(words: "ABSTTL").encode(into: &line)
                    try file.write(line)
                    count.count += 1
                }
                try tell("keys", count.count, file.bytes, nil)
                cursor = page.next
            } while cursor != Array("0".utf8)
        }
        // Keys that expired meanwhile are nobody's loss, and Redis counts expired ones until it notices.
        if whole, let size = try server.connection.call(RedisCommand("DBSIZE")).number {
            let own = try server.connection.call(RedisCommand("KEYS", "bascule:internal:*")).items?.count ?? 0
            let expiring = Int64(Self.expiring(server, session.sourceDatabase))
            let exact = max(0, size - Int64(own))
            count.expected = isFenced && expiring == 0 ? exact : nil
            if isFenced, expiring > 0, count.count + gone < exact - expiring {
                count.faults.append("\(count.count) keys of \(exact)")
            }
        }
        count.about = [
            ("kind", "redis"), ("server", server.versionText), ("gone", "\(gone)"),
            ("restore", "redis-cli --pipe < keys.resp"),
        ]
        return count
    }

    /// Keys of the database that have an expiry, as INFO counts them.
    private static func expiring(_ server: RedisServer, _ database: Int) -> Int {
        let line = server.info["db\(database)"] ?? ""
        let part = line.split(separator: ",").first { $0.hasPrefix("expires=") }
        return part.flatMap { Int($0.dropFirst(8)) } ?? 0
    }
}
