import BasculeModel

/// An environment file in systemd's syntax (systemd.exec(5), EnvironmentFile=).
enum EnvironmentFile {
    static func text(_ variables: [String: [UInt8]]) throws -> [UInt8] {
        var out: [UInt8] = []
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
            try check(name, value)
            out += Array("\(name)=\"".utf8)
            for byte in value {
                // In double quotes systemd takes a backslash before exactly these four.
                if [UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "`"), UInt8(ascii: "$")].contains(byte) {
                    out.append(UInt8(ascii: "\\"))
                }
                out.append(byte)
            }
            out += Array("\"\n".utf8)
        }
        return out
    }

    /// A variable's name is one for a shell, its value no C string's end.
    static func check(_ name: String, _ value: [UInt8]) throws {
        let good = name.utf8.enumerated().allSatisfy { index, byte in
            (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte == 95
                || (index > 0 && byte >= 48 && byte <= 57)
        }
        guard good, !name.isEmpty, !value.contains(0) else {
            throw BasculeError(.invalidInput, "This is no name or value for an environment variable", at: .thing(name))
        }
    }
}
