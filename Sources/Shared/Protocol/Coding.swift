import BasculeModel
import FoundationEssentials

/// JSON as both sides write it: sorted keys, so that equal values have equal bytes.
package enum Wire {
    /// The value's canonical bytes.
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// The value that a stranger's bytes stand for. Throws `protocol-violation`, or `unknown-request` for a kind
    /// that this build does not know.
    package static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw BasculeError(
                .protocolViolation, "a message could not be read as \(type)", cause: "\(error)",
                hint: "controller and agent may be of different versions; run bascule node bootstrap NAME")
        }
    }

    /// A JSON frame.
    package static func frame(_ kind: FrameKind, id: UInt32, _ value: some Encodable) throws -> [UInt8] {
        try Frame(kind, id: id, body: encode(value)).encoded()
    }
}
