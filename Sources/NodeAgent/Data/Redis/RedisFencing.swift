import BasculeModel
import BasculeNet

/// Stops the writers of a source, proves it, and gives them their rights back. Every step may be repeated.
///
/// Taking `-@write` from the users holds for sessions that are open already, and until it is given back. A server
/// that lets nobody change users may still pause writers: a lease that ends by itself.
struct RedisFencing {
    let session: RedisSession

    /// How writers can be stopped here. Changes nothing.
    func capture() throws -> RedisReport {
        let connection = try session.fenceConnection()
        var report = RedisReport()
        if let users = try writers(connection) {
            report.fence = .users(users)
        } else if try canPause(connection) {
            report.fence = .pause
        } else {
            report.fence = .impossible("the login may neither change users (ACL) nor pause clients (CLIENT PAUSE)")
        }
        return report
    }

    /// Stops the writers. A pause lasts `seconds`; users lose the right until `release`.
    func acquire(_ fence: RedisFence, seconds: Int) throws -> RedisReport {
        let connection = try session.fenceConnection()
        var report = RedisReport()
        report.fence = fence
        switch fence {
        case .users(let users):
            for user in users {
                var command = RedisCommand("ACL", "SETUSER", user.name)
                // A selector could grant writing again.
                if !user.selectors.isEmpty { command = command.with(words: "clearselectors") }
                try connection.call(command.with(words: "-@write"))
            }
        case .pause:
            let milliseconds = max(1, seconds) * 1000
            try connection.call(RedisCommand("CLIENT", "PAUSE", String(milliseconds), "WRITE"))
            report.fenceExpires = (RedisClock.now() + Int64(milliseconds)) / 1000
        case .impossible(let why): throw impossible(why)
        }
        return report
    }

    /// Tries a write as every class of writer that can be tried. Throws nothing for a write that got through: the
    /// report says so.
    func prove(_ fence: RedisFence) throws -> RedisReport {
        var report = RedisReport()
        report.fence = fence
        switch fence {
        case .users(let users):
            let connection = try session.fenceConnection()
            for user in users {
                guard let proof = try tryToRun(as: user.name, [["SET", probeKey, "1"]], connection) else { continue }
                report.fenceProofs.append(proof)
            }
            // Made since: its rights were not captured, could not be given back, and are therefore not taken.
            for late in try writers(connection) ?? [] where !users.contains(where: { $0.name == late.name }) {
                var proof =
                    try tryToRun(as: late.name, Self.writes.map { [$0[0], probeKey] + $0[1...] }, connection)
                    ?? RedisFenceProof(writer: late.name, refused: false, answer: "it may be a writer")
                proof.answer += "; this login was made after the rights were noted"
                report.fenceProofs.append(proof)
            }
            report.fenceProofs.append(try tryToWrite())
        case .pause: report.fenceProofs.append(try tryToWrite())
        case .impossible(let why): throw impossible(why)
        }
        return report
    }

    /// Gives the rights back as they were captured.
    func release(_ fence: RedisFence) throws -> RedisReport {
        let connection = try session.fenceConnection()
        var report = RedisReport()
        report.fence = fence
        switch fence {
        case .users(let users):
            for user in users {
                var command = RedisCommand("ACL", "SETUSER", user.name)
                command = command.with(all: user.commands.split(separator: " ").map { Array($0.utf8) })
                if !user.selectors.isEmpty {
                    command = command.with(words: "clearselectors").with(all: user.selectors.map { Array($0.utf8) })
                }
                try connection.call(command)
            }
        case .pause: try connection.call(RedisCommand("CLIENT", "UNPAUSE"))
        case .impossible: break
        }
        return report
    }

    // MARK: parts

    /// One write for each type of value, without its key.
    private static let writes = [
        ["SET", "1"], ["DEL"], ["EXPIRE", "1"], ["HSET", "f", "1"], ["LPUSH", "1"], ["SADD", "1"],
        ["ZADD", "1", "m"], ["XADD", "*", "f", "1"], ["PFADD", "1"], ["SETBIT", "0", "1"],
    ]

    /// Whether a login may run none of these commands; nil where the server has no dry run (before 7.0; the app's own
    /// login is tried in any case). A key that it may not touch proves nothing: it may write others.
    private func tryToRun(
        as name: String, _ commands: [[String]], _ connection: RedisConnection
    ) throws -> RedisFenceProof? {
        var answer = ""
        for words in commands {
            let command = RedisCommand("ACL", "DRYRUN", name).with(all: words.map { Array($0.utf8) })
            let reply = try connection.answer(of: command)
            if let text = reply.refusalText, text.lowercased().contains("unknown") { return nil }
            answer = reply.refusalText ?? reply.text ?? ""
            guard answer.contains("permissions to run") else {
                return RedisFenceProof(writer: name, refused: false, answer: printable(answer.utf8))
            }
        }
        return RedisFenceProof(writer: name, refused: true, answer: printable(answer.utf8))
    }

    private let probeKey = String(decoding: RedisInternal.prefix, as: UTF8.self) + "write-probe"

    init(session: RedisSession) { self.session = session }

    /// The enabled users that may write; nil if this login may not change users, or if the change could not hold.
    private func writers(_ connection: RedisConnection) throws -> [RedisFence.User]? {
        guard let names = try connection.answer(of: RedisCommand("ACL", "USERS")).strings else { return nil }
        // Setting nothing is the harmless way to learn whether we may set at all.
        let myself = try connection.answer(of: RedisCommand("ACL", "WHOAMI")).bytes ?? Array("default".utf8)
        if try connection.answer(of: RedisCommand("ACL", "SETUSER").with(myself)).refusalText != nil { return nil }
        var out: [RedisFence.User] = []
        for name in names {
            guard let map = try connection.answer(of: RedisCommand("ACL", "GETUSER").with(name)).map,
                let flags = map["flags"]?.strings, let commands = map["commands"]?.text
            else { return nil }
            guard flags.contains(Array("on".utf8)) else { continue }
            let selectors = (map["selectors"]?.items ?? []).compactMap(selector)
            if commands == "-@all", selectors.isEmpty { continue }
            guard let text = String(validating: name, as: UTF8.self) else { return nil }
            out.append(RedisFence.User(name: text, commands: commands, selectors: selectors))
        }
        return out
    }

    /// A selector as the rule that makes it again.
    private func selector(_ reply: RedisValue) -> String? {
        guard let map = reply.map else { return nil }
        let parts = ["commands", "keys", "channels"].compactMap { map[$0]?.text }.filter { !$0.isEmpty }
        return parts.isEmpty ? nil : "(" + parts.joined(separator: " ") + ")"
    }

    private func canPause(_ connection: RedisConnection) throws -> Bool {
        // UNPAUSE is refused for the same reasons as PAUSE, and changes nothing where nothing is paused.
        try connection.answer(of: RedisCommand("CLIENT", "UNPAUSE")).refusalText == nil
            && connection.answer(of: RedisCommand("CLIENT", "PAUSE", "1", "WRITE")).refusalText == nil
    }

    /// Deletes a key that does not exist, with the app's own login: a write for the server, and harmless if it passes.
    private func tryToWrite() throws -> RedisFenceProof {
        let writer = "the app's login, a new session"
        do {
            let connection = try session.writerConnection(timeout: .seconds(1))
            let reply = try connection.answer(of: RedisCommand("DEL", probeKey))
            guard let text = reply.refusalText else {
                return RedisFenceProof(writer: writer, refused: false, answer: "accepted")
            }
            return RedisFenceProof(writer: writer, refused: text.hasPrefix("NOPERM"), answer: printable(text.utf8))
        } catch let error as BasculeError where error.code == .timedOut {
            return RedisFenceProof(writer: writer, refused: true, answer: "held back for at least 1 s")
        }
    }

    private func impossible(_ why: String) -> BasculeError {
        BasculeError(
            .redisFenceFailed, "The writers of the Redis source cannot be stopped", cause: why,
            hint: "Stop the app's workers themselves, or give the secret of a login that may (fenceLogin).")
    }
}
