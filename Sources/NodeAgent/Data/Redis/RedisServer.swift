import BasculeModel
import BasculeNet

/// A connection together with what its server can do.
final class RedisServer {
    let connection: RedisConnection
    /// The sections of `INFO`, flat. Empty where the server refuses `INFO`.
    let info: [String: String]
    let version: [Int]
    /// Commands that the server turned out not to have.
    private var missing: Set<String> = []

    init(_ connection: RedisConnection) throws {
        self.connection = connection
        let reply = try connection.answer(of: RedisCommand("INFO"))
        info = Self.parse(reply.text ?? "")
        version = Self.version(info)
    }

    var peer: String { connection.peer }
    var versionText: String { info["redis_version"].map { printable($0.utf8, limit: 20) } ?? "unknown" }

    /// Whether the server is at least of this version.
    func isAtLeast(_ major: Int, _ minor: Int) -> Bool { Self.isAtLeast(major, minor, version) }

    static func version(_ info: [String: String]) -> [Int] {
        (info["redis_version"] ?? "").split(separator: ".").map { Int($0) ?? 0 }
    }

    static func isAtLeast(_ major: Int, _ minor: Int, _ version: [Int]) -> Bool {
        guard let first = version.first else { return false }
        return (first, version.count > 1 ? version[1] : 0) >= (major, minor)
    }

    static func parse(_ text: String) -> [String: String] {
        var out: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            out[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
        return out
    }

    /// A setting, or nil where the server does not tell.
    func setting(_ name: String) throws -> String? {
        let reply = try connection.answer(of: RedisCommand("CONFIG", "GET", name))
        return reply.map?[name]?.text
    }

    /// What the server says about each key, nil for those that are not there (any more).
    func states(of keys: [[UInt8]], sizes: Bool) throws -> [RedisKeyState?] {
        while true {
            let asked = RedisClock.now()
            let replies = try connection.send(questions(keys, sizes: sizes))
            if let states = try states(of: keys, sizes: sizes, replies, asked: asked) { return states }
        }
    }

    /// The commands that ask for the states of keys.
    func questions(_ keys: [[UInt8]], sizes: Bool) -> [RedisCommand] {
        let expiry = RedisCommand(missing.contains("PEXPIRETIME") ? "PTTL" : "PEXPIRETIME")
        let memory = sizes && !missing.contains("MEMORY") ? RedisCommand("MEMORY", "USAGE") : nil
        let type = RedisCommand("TYPE")
        var commands: [RedisCommand] = []
        commands.reserveCapacity(keys.count * 3)
        for key in keys {
            commands.append(type.with(key))
            commands.append(expiry.with(key))
            if let memory { commands.append(memory.with(key)) }
        }
        return commands
    }

    /// The states that the replies to `questions` tell; nil where these must be put again, in other words.
    func states(
        of keys: [[UInt8]], sizes: Bool, _ replies: [RedisValue], asked: Int64
    ) throws -> [RedisKeyState?]? {
        guard !keys.isEmpty else { return [] }
        let absolute = !missing.contains("PEXPIRETIME")
        let memory = sizes && !missing.contains("MEMORY")
        let width = memory ? 3 : 2
        if absolute, let text = replies[1].refusalText {
            try learn(text, "PEXPIRETIME")
            return nil
        }
        if memory, replies[2].refusalText != nil { missing.insert("MEMORY") }
        var out: [RedisKeyState?] = []
        for (index, key) in keys.enumerated() {
            let base = index * width
            if let text = replies[base].refusalText { throw refusal(text, to: "TYPE", at: peer) }
            guard let type = replies[base].text, let expiry = replies[base + 1].number else {
                throw connection.unexpected("TYPE")
            }
            // -2: gone, perhaps between the two commands.
            guard type != "none", expiry != -2 else {
                out.append(nil)
                continue
            }
            let at = expiry < 0 ? nil : absolute ? expiry : asked + expiry
            let size = memory ? replies[base + 2].number.map { Int($0) } : nil
            out.append(RedisKeyState(key: key, type: RedisType(reply: type), expiry: at, size: size))
        }
        return out
    }

    /// Remembers that the server lacks a command, if that is what it said; else throws what it said.
    private func learn(_ text: String, _ command: String) throws {
        let lower = text.lowercased()
        guard
            lower.contains("unknown") || lower.contains("not available") || lower.contains("noperm")
                || lower.contains("unsupported") || lower.contains("not allowed")
        else { throw refusal(text, to: command, at: peer) }
        missing.insert(command)
    }
}

extension RedisServer {
    /// Whether hashes hold fields that expire by themselves (Redis 7.4 and newer count them).
    var hasFieldExpiries: Bool { Self.hasFieldExpiries(info) }

    static func hasFieldExpiries(_ info: [String: String]) -> Bool {
        info.contains { name, value in
            guard name.hasPrefix("db"), let range = value.firstRange(of: "subexpiry=") else { return false }
            return !value[range.upperBound...].hasPrefix("0")
        }
    }
}
