/// One reply of a Redis server in RESP2.
package enum RedisValue: Equatable, Sendable {
    case simple(String)
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([RedisValue])

    /// The bytes of a bulk or simple string.
    var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .simple(let text): Array(text.utf8)
        default: nil
        }
    }

    /// A bulk or simple string as text, damaged UTF-8 replaced.
    var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// An integer, or a string that spells one.
    var number: Int64? {
        switch self {
        case .integer(let value): value
        case .bulk, .simple: text.flatMap { Int64($0) }
        default: nil
        }
    }

    /// The elements of an array.
    var items: [RedisValue]? {
        if case .array(let items) = self { return items }
        return nil
    }

    /// The elements of an array of strings; nil if one is something else.
    var strings: [[UInt8]]? {
        guard case .array(let items) = self else { return nil }
        var out: [[UInt8]] = []
        out.reserveCapacity(items.count)
        for item in items {
            guard case .bulk(let bytes) = item else { return nil }
            out.append(bytes)
        }
        return out
    }

    /// An array of alternating names and values, as `XINFO` and `ACL GETUSER` give it.
    var map: [String: RedisValue]? {
        guard case .array(let items) = self, items.count.isMultiple(of: 2) else { return nil }
        var out: [String: RedisValue] = [:]
        for index in stride(from: 0, to: items.count, by: 2) {
            guard let name = items[index].text else { return nil }
            out[name] = items[index + 1]
        }
        return out
    }

    /// The text of an error reply.
    var refusalText: String? {
        if case .error(let text) = self { return text }
        return nil
    }
}

/// One command with its arguments.
package struct RedisCommand: Equatable, Sendable {
    private(set) var arguments: [[UInt8]]
    /// The bytes of the arguments, for keeping requests small.
    private(set) var size: Int

    /// A command of words, such as `RedisCommand("CLIENT", "UNPAUSE")`.
    package init(_ words: String...) {
        arguments = words.map { Array($0.utf8) }
        size = arguments.reduce(0) { $0 + $1.count }
    }

    /// The same command with more arguments.
    func with(_ more: [UInt8]...) -> RedisCommand { with(all: more) }

    /// The same command with more arguments.
    func with(words: String...) -> RedisCommand { with(all: words.map { Array($0.utf8) }) }

    /// The same command with more arguments.
    func with(all more: [[UInt8]]) -> RedisCommand {
        var copy = self
        for argument in more { copy.append(argument) }
        return copy
    }

    mutating func append(_ argument: [UInt8]) {
        arguments.append(argument)
        size += argument.count
    }

    /// The command's own name, which is never a secret.
    var name: String { arguments.first.map { printable($0, limit: 40) } ?? "" }

    /// Appends the command in RESP.
    func encode(into out: inout [UInt8]) {
        header("*", arguments.count, &out)
        for argument in arguments {
            header("$", argument.count, &out)
            out += argument
            out += [13, 10]
        }
    }

    private func header(_ sign: Unicode.Scalar, _ count: Int, _ out: inout [UInt8]) {
        out.append(UInt8(ascii: sign))
        out += String(count).utf8
        out += [13, 10]
    }
}
