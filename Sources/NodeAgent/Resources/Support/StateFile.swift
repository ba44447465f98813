import BasculeModel
import FoundationEssentials

/// Small JSON files under the agent's state directory.
enum StateFile {
    /// The stored value; nil where there is none or it cannot be read (it is then made anew).
    static func load<Value: Decodable>(_ path: String, as type: Value.Type) -> Value? {
        guard let bytes = try? AtomicFile.read(path) else { return nil }
        return try? JSONDecoder().decode(type, from: Data(bytes))
    }

    static func save(_ path: String, _ value: some Encodable) throws {
        try AtomicFile.write(path, try canonical(value), Permissions(mode: 0o600), kind: "state")
    }

    /// JSON with sorted keys and without escaped slashes: equal values give equal bytes.
    static func canonical(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
}
