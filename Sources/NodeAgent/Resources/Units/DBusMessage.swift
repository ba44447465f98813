/// The little of the D-Bus wire format that asking systemd needs (D-Bus specification 0.41, little-endian).
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func pad(_ alignment: Int) {
        while bytes.count % alignment != 0 { bytes.append(0) }
    }

    mutating func uint32(_ value: Int) {
        pad(4)
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func string(_ text: String) {
        uint32(text.utf8.count)
        bytes += Array(text.utf8) + [0]
    }

    mutating func signature(_ text: String) {
        bytes += [UInt8(truncatingIfNeeded: text.utf8.count)] + Array(text.utf8) + [0]
    }

    /// A method call whose arguments are all strings.
    static func call(serial: Int, path: String, interface: String, member: String, arguments: [String]) -> [UInt8] {
        var body = DBusWriter()
        for argument in arguments { body.string(argument) }
        var writer = DBusWriter()
        writer.bytes = [UInt8(ascii: "l"), 1, 0, 1]
        writer.uint32(body.bytes.count)
        writer.uint32(serial)
        var fields = DBusWriter()
        func field(_ code: UInt8, _ type: String, _ value: String) {
            fields.pad(8)
            fields.bytes.append(code)
            fields.signature(type)
            if type == "g" { fields.signature(value) } else { fields.string(value) }
        }
        field(1, "o", path)
        field(2, "s", interface)
        field(3, "s", member)
        field(
            6, "s",
            interface.hasPrefix("org.freedesktop.DBus") && path.hasPrefix("/org/freedesktop/DBus")
                ? "org.freedesktop.DBus" : "org.freedesktop.systemd1")
        if !arguments.isEmpty { field(8, "g", String(repeating: "s", count: arguments.count)) }
        writer.uint32(fields.bytes.count)
        // The header's fields start at a multiple of 8 (4 + 4 + 4 + 4), so their own padding stays right.
        writer.bytes += fields.bytes
        writer.pad(8)
        return writer.bytes + body.bytes
    }
}

/// Reads values in order; every step checks that the bytes are there.
struct DBusReader {
    private let bytes: ArraySlice<UInt8>
    private(set) var offset = 0

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    struct Malformed: Error {}

    mutating func align(_ alignment: Int) { offset = (offset + alignment - 1) / alignment * alignment }

    mutating func integer(_ size: Int) throws -> UInt64 {
        align(size)
        guard offset + size <= bytes.count else { throw Malformed() }
        defer { offset += size }
        return (0..<size).reduce(0) { $0 | UInt64(bytes[bytes.startIndex + offset + $1]) << (8 * UInt64($1)) }
    }

    mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard count >= 0, offset + count <= bytes.count else { throw Malformed() }
        defer { offset += count }
        return bytes[(bytes.startIndex + offset)..<(bytes.startIndex + offset + count)]
    }

    mutating func string() throws -> String {
        let text = try take(Int(try integer(4)))
        _ = try take(1)
        return String(decoding: text, as: UTF8.self)
    }

    mutating func signature() throws -> String {
        let text = try take(Int(try integer(1)))
        _ = try take(1)
        return String(decoding: text, as: UTF8.self)
    }

    /// A basic value, or an array of bytes, as text: numbers in digits, bytes in hexadecimal.
    mutating func value(_ type: String) throws -> String {
        switch type {
        case "s", "o": return try string()
        case "g": return try signature()
        case "y": return "\(try integer(1))"
        case "n", "q": return "\(try integer(2))"
        case "b", "i", "u": return "\(try integer(4))"
        case "x", "t", "d": return "\(try integer(8))"
        case "ay":
            return try take(Int(try integer(4))).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        default: throw Malformed()
        }
    }
}

/// The reply to a call.
struct DBusReply {
    var serial: Int
    /// The error's name, where it is one.
    var error: String?
    /// The first value of the body; a variant's content.
    var value: String

    /// - Parameter message: one whole message.
    init?(_ message: ArraySlice<UInt8>, header: Int) throws {
        let type = message[message.startIndex + 1]
        guard type == 2 || type == 3 else { return nil }
        var reader = DBusReader(message)
        _ = try reader.take(12)
        let end = Int(try reader.integer(4)) + 16
        (serial, error, value) = (0, nil, "")
        var signature = ""
        while reader.offset < end {
            reader.align(8)
            let code = try reader.integer(1)
            let kind = try reader.signature()
            let text = try reader.value(kind)
            switch code {
            case 4: error = text
            case 5: serial = Int(text) ?? 0
            case 8: signature = text
            default: break
            }
        }
        var body = DBusReader(message.dropFirst(header))
        if signature.hasPrefix("v") {
            value = try body.value(try body.signature())
        } else if signature.hasPrefix("s") || signature.hasPrefix("o") {
            value = try body.string()
        }
    }
}
