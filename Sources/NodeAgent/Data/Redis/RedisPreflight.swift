import BasculeModel
import BasculeNet

/// Looks for what would not survive a move.
struct RedisPreflight {
    let session: RedisSession

    /// What can be seen without looking at each key: `copy` looks again before it starts.
    func quick() throws -> (findings: [RedisFinding], method: RedisMethod) {
        let source = try session.source()
        let target = try session.target()
        let move = session.move
        var found = [
            RedisFinding(
                .versions, .info, "The source runs Redis \(source.versionText), the target \(target.versionText)")
        ]
        if source.info.isEmpty || target.info.isEmpty {
            found.append(RedisFinding(.unknown, .warn, "A side refuses INFO, so that limits and versions are unknown"))
        }
        for (name, server) in [("source", source), ("target", target)] where server.info["cluster_enabled"] == "1" {
            found.append(
                RedisFinding(
                    .cluster, .refuse, "The \(name) is a Redis Cluster; one connection sees only a part of its keys"))
        }
        if session.sourceIsExposed {
            found.append(
                RedisFinding(
                    .plainText, .warn, "The source's address is redis://: password and data travel unencrypted"))
        }
        found += try eviction(target)
        found += memory(source, target)
        found += try notEmpty(target)
        found += otherDatabases(source)
        found += try functions(source)
        found += try clocks(source, target)
        let (method, finding) = try probe(source, target)
        if let finding {
            // What the target did says more than what its limit lets expect.
            found.removeAll { $0.code == finding.code }
            found.append(finding)
        }
        return (found.map { weigh($0, move) }, method)
    }

    /// An accepted refusal is a warning.
    func weigh(_ finding: RedisFinding, _ move: RedisMove) -> RedisFinding {
        guard finding.weight == .refuse, move.accept.contains(finding.code) else { return finding }
        return RedisFinding(finding.code, .warn, finding.message + " (accepted)")
    }

    private func eviction(_ target: RedisServer) throws -> [RedisFinding] {
        let policy = try target.info["maxmemory_policy"] ?? target.setting("maxmemory-policy")
        guard let policy else {
            return [RedisFinding(.unknown, .warn, "The target does not tell its eviction policy")]
        }
        switch session.move.purpose {
        case .durable where policy != "noeviction":
            return [
                RedisFinding(
                    .evictionPolicy, .refuse,
                    "The target evicts keys (\(printable(policy.utf8))), but it is for durable data: noeviction is needed"
                )
            ]
        case .cache where policy == "noeviction":
            return [
                RedisFinding(
                    .evictionPolicy, .warn, "The target is a cache but never evicts: writes fail when it is full")
            ]
        default: return []
        }
    }

    private func memory(_ source: RedisServer, _ target: RedisServer) -> [RedisFinding] {
        guard let limit = target.info["maxmemory"].flatMap({ Int64($0) }), limit > 0,
            let used = source.info["used_memory_dataset"].flatMap({ Int64($0) })
                ?? source.info["used_memory"].flatMap({ Int64($0) })
        else { return [] }
        let text = "The source's data take \(used >> 20) MiB, the target's limit is \(limit >> 20) MiB"
        if used > limit {
            // A cache, or a part of the keys, may well fit: that is for a person to say.
            return [RedisFinding(.memoryLimit, session.move.purpose == .cache ? .warn : .refuse, text)]
        }
        return used > limit / 10 * 8 ? [RedisFinding(.memoryLimit, .warn, text)] : []
    }

    private func notEmpty(_ target: RedisServer) throws -> [RedisFinding] {
        if let marker = try RedisMarker.read(target) {
            if marker.move == session.identity { return [] }
            return [RedisFinding(.targetNotEmpty, .refuse, "Another move's unfinished copy is at the target")]
        }
        guard session.move.existing == .refuse else { return [] }
        var cursor = Array("0".utf8)
        repeat {
            let page = try target.connection.scan(cursor: cursor, pattern: session.move.keys, count: 1000)
            if let key = page.keys.first {
                return [
                    RedisFinding(
                        .targetNotEmpty, .refuse, "The target already holds keys, such as \(printable(key, limit: 60))")
                ]
            }
            cursor = page.next
        } while cursor != Array("0".utf8)
        return []
    }

    private func otherDatabases(_ source: RedisServer) -> [RedisFinding] {
        let others = source.info.compactMap { name, value -> String? in
            guard name.hasPrefix("db"), let number = Int(name.dropFirst(2)), number != session.sourceDatabase,
                let count = value.split(separator: ",").first?.split(separator: "=").last
            else { return nil }
            return "\(number) (\(printable(count.utf8, limit: 12)) keys)"
        }.sorted()
        guard !others.isEmpty else { return [] }
        let names = others.joined(separator: ", ")
        return [RedisFinding(.otherDatabases, .refuse, "The source has keys in other databases, too: \(names)")]
    }

    private func functions(_ source: RedisServer) throws -> [RedisFinding] {
        guard source.isAtLeast(7, 0) else { return [] }
        let reply = try source.connection.answer(of: RedisCommand("FUNCTION", "LIST"))
        guard let count = reply.items?.count, count > 0 else { return [] }
        return [RedisFinding(.functions, .warn, "The source has \(count) function libraries, which do not travel")]
    }

    private func clocks(_ source: RedisServer, _ target: RedisServer) throws -> [RedisFinding] {
        func offset(_ server: RedisServer) throws -> Int64? {
            let before = RedisClock.now()
            let reply = try server.connection.answer(of: RedisCommand("TIME"))
            guard let items = reply.items, items.count == 2, let seconds = items[0].number,
                let micros = items[1].number
            else { return nil }
            return seconds * 1000 + micros / 1000 - (before + RedisClock.now()) / 2
        }
        guard let left = try offset(source), let right = try offset(target), abs(left - right) > 1000 else { return [] }
        return [
            RedisFinding(
                .clockSkew, .warn,
                "The clocks of source and target differ by \(abs(left - right)) ms; expiries shift by it")
        ]
    }

    /// Really dumps one key and restores it at the target under a temporary name.
    private func probe(_ source: RedisServer, _ target: RedisServer) throws -> (RedisMethod, RedisFinding?) {
        if session.move.method == .commands { return (.commands, nil) }
        var cursor = Array("0".utf8)
        repeat {
            let page = try source.connection.scan(cursor: cursor, pattern: session.move.keys, count: 200)
            cursor = page.next
            for state in try source.states(of: Array(page.keys.prefix(50)), sizes: true).compactMap({ $0 }) {
                if (state.size ?? 0) > session.move.partBytes { continue }
                let reply = try source.connection.answer(of: RedisCommand("DUMP").with(state.key))
                if reply.refusalText != nil { return try refused("The source refuses DUMP") }
                guard case .bulk(let payload) = reply else { continue }
                let name = RedisInternal.temporary("probe", 0)
                let answer = try target.connection.answer(
                    of: RedisCommand("RESTORE").with(name).with(words: "0").with(payload).with(words: "REPLACE"))
                _ = try target.connection.call(RedisCommand("DEL").with(name))
                guard let text = answer.refusalText else { return (.dump, nil) }
                // A module's type says nothing about the payload's version.
                if case .other = state.type { continue }
                if text.hasPrefix("OOM") {
                    return (
                        .dump,
                        RedisFinding(
                            .memoryLimit, .refuse, "The target is at its memory limit: it takes not even one key more")
                    )
                }
                guard text.contains("DUMP payload version") || text.contains("Bad data format") else {
                    throw refusal(text, to: "RESTORE", at: target.peer)
                }
                return try refused("The target refuses the source's DUMP payloads")
            }
        } while cursor != Array("0".utf8)
        return (session.move.method == .automatic ? .dump : session.move.method, nil)
    }

    private func refused(_ why: String) throws -> (RedisMethod, RedisFinding?) {
        if session.move.method == .dump { return (.dump, RedisFinding(.payloadVersion, .refuse, why)) }
        return (.commands, RedisFinding(.payloadVersion, .info, "\(why): values travel by their types' own commands"))
    }
}
