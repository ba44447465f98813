import BasculeModel

/// The names that a lab takes on its host. Two labs never share one.
enum LabNames {
    /// Network interfaces have at most 15 characters; systemd-nspawn calls the host's end `vb-MACHINE` and cuts it.
    static let interfaceLimit = 15

    /// Six hexadecimal digits that stand for a lab where names are short. `attempt` counts up while the tag is taken.
    static func tag(labName: String, attempt: Int = 0) -> String {
        let text = attempt == 0 ? labName : "\(labName)#\(attempt)"
        return String(StableHash.hexadecimal(text).prefix(6))
    }

    static func bridge(tag: String) -> String { "bl-\(tag)" }
    static func table(tag: String) -> String { "bascule_lab_\(tag)" }
    /// The machine's name for systemd-nspawn; the node's own host name is another matter.
    static func machine(tag: String, host: Int) -> String { "b\(tag)n\(host)" }
    /// The host's end of the node's link.
    static func link(machine: String) -> String { "vb-\(machine)" }

    /// A lab's name is part of paths: lower-case letters, digits, dashes, at most 40, starting with a letter or digit.
    static func check(labName: String) throws {
        guard isLabel(labName, limit: 40) else {
            throw BasculeError(
                .invalidInput, "\"\(labName)\" is no name for a lab",
                hint: "Use at most 40 lower-case letters, digits and dashes, beginning and ending with no dash.")
        }
    }

    /// A node's name becomes its host name and part of paths.
    static func check(node: NodeName) throws {
        guard isLabel(node.rawValue, limit: 63) else {
            throw BasculeError(
                .invalidInput, "\"\(node)\" is no name for a throwaway node",
                hint: "Use at most 63 lower-case letters, digits and dashes, beginning and ending with no dash.")
        }
    }

    private static func isLabel(_ text: String, limit: Int) -> Bool {
        let allowed = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        return allowed && !text.isEmpty && text.utf8.count <= limit && !text.hasPrefix("-") && !text.hasSuffix("-")
    }
}

/// FNV-1a: the same answer in every run, unlike `Hasher`. Good for cache names whose inputs are compared again where
/// it matters; not against an adversary.
enum StableHash {
    /// 16 hexadecimal digits.
    static func hexadecimal(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        // FNV leaves the high bits of short texts alike; fold them so that a prefix is as good as the whole.
        hash ^= hash >> 32
        hash = hash &* 0xd6e8_feb8_6659_fd93
        hash ^= hash >> 32
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
