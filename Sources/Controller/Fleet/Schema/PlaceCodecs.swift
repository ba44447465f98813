import BasculeModel
import Foundation

extension Codec where Value == String {
    /// Text on one line.
    static func line(_ expected: String = "text on one line") -> Codec {
        var codec = Codec.scalar(
            expected, hint: "remove line feeds and control characters", show: { $0.isEmpty ? nil : .text($0) },
            parse: { text in PathText.hasControl(text) || text.utf8.count > 4096 ? nil : text })
        codec.schema = { SchemaValue.anyScalar }
        return codec
    }

    /// A path on a node.
    static var absolutePath: Codec {
        .scalar(
            "an absolute path without '..', quotes, '$', '`' or ';'", pattern: "^/", code: .fleetBadPath,
            hint: "write the whole path from '/', without '.', '..', '//' or a '/' at the end",
            show: { $0.isEmpty ? nil : .text($0) }, parse: { PathText.isAbsolute($0) ? $0 : nil })
    }

    /// A path on a node that also stands in commands that a shell reads (a login's forced one), in units and in other
    /// programs' configurations: what means nothing to any of them.
    static var plainPath: Codec {
        .scalar(
            "an absolute path of letters, digits, '.', '_' and '-'", pattern: "^/[A-Za-z0-9._/-]*$",
            code: .fleetBadPath,
            hint: "write the whole path from '/', without blanks, '.', '..', '//' or a '/' at the end",
            show: { $0.isEmpty ? nil : .text($0) }, parse: { PathText.isPlainAbsolute($0) ? $0 : nil })
    }

    /// A file of the fleet's own folder.
    static var fleetPath: Codec {
        .scalar(
            "a path inside the fleet file's folder", code: .fleetBadPath,
            hint: "write it relative to the fleet file, without '..'", parse: { PathText.inside($0) })
    }

    /// A folder or file of this machine: relative to the fleet's folder, or absolute.
    static var localPath: Codec {
        .scalar(
            "a path without '..'", code: .fleetBadPath,
            hint: "write it relative to the fleet file, or absolute",
            parse: { text in
                text.hasPrefix("/") ? (PathText.isAbsolute(text) ? text : nil) : PathText.inside(text)
            })
    }

    static var keyFile: Codec {
        .scalar(
            "the path of a private key file", code: .fleetBadPath,
            parse: { text in
                let body = text.hasPrefix("~/") ? String(text.dropFirst(2)) : text
                return PathText.isAbsolute(body) || PathText.inside(body) != nil ? text : nil
            })
    }

    static var httpPath: Codec {
        .scalar(
            "an HTTP path such as /healthz", pattern: "^/[!#$%&()*+,./0-9:;=?@A-Z_a-z~-]*$", code: .fleetBadPath,
            parse: { text in
                let allowed = text.unicodeScalars.allSatisfy {
                    $0.isASCII && $0.value > 0x20 && $0.value < 0x7f && !"\"'`\\<>{}|^[]".unicodeScalars.contains($0)
                }
                return text.hasPrefix("/") && allowed && text.utf8.count <= 1024 ? text : nil
            })
    }

    static var host: Codec {
        .scalar(
            "an address or a host name", pattern: "^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$", code: .fleetBadName,
            parse: { HostText.isHost($0) ? $0 : nil })
    }

    static var domain: Codec {
        .scalar(
            "a host name such as shop.example", pattern: "^([*][.])?[a-z0-9-]+([.][a-z0-9-]+)*$", code: .fleetBadName,
            hint: "lower-case letters, digits, dashes and dots only; no scheme, no path",
            parse: { HostText.isDomain($0) ? $0 : nil })
    }

    static var network: Codec {
        .scalar(
            "an address or a network such as 10.0.0.0/8", pattern: "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$",
            parse: { HostText.isNetwork($0) ? $0 : nil })
    }

    static var unitName: Codec {
        .scalar(
            "a unit's name with its suffix, such as nginx.service",
            pattern: "^[A-Za-z0-9@._:-]+[.](service|socket|timer|mount|path|slice|target)$", code: .fleetBadName,
            parse: { text in
                let suffixes = ["service", "socket", "timer", "mount", "path", "slice", "target"]
                let known = suffixes.contains { text.hasSuffix(".\($0)") && text.utf8.count > $0.utf8.count + 1 }
                let rule = TextRule(what: "", first: "A-Za-z0-9_-", rest: "A-Za-z0-9@._:-", limit: 200)
                return known && rule.accepts(text) ? text : nil
            })
    }

    /// `HOST:PORT`
    static var endpoint: Codec {
        .scalar(
            "a host and port such as 127.0.0.1:3000",
            parse: { text in
                guard let colon = text.lastIndex(of: ":"), HostText.isHost(String(text[..<colon])),
                    let port = UInt16(text[text.index(after: colon)...]), port > 0
                else { return nil }
                return text
            })
    }
}

extension Codec where Value == HostKey {
    static var hostKey: Codec {
        let types = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        let expected = "an SSH host key such as \"ssh-ed25519 AAAA…\""
        return Codec(
            expected, schema: { .object([("type", .text("string"))]) },
            read: { node, reader in
                guard let text = reader.text(node, expected: expected) else { return nil }
                let words = text.split(separator: " ").map(String.init)
                guard words.count >= 2, !PathText.hasControl(text) else {
                    reader.error(
                        .fleetBadValue, "\(reader.subject) must be \(expected), not \(node.kind)", at: node.span,
                        hint: "take it from /etc/ssh/ssh_host_ed25519_key.pub of the machine")
                    return nil
                }
                guard types.contains(words[0]) else {
                    reader.error(
                        .fleetBadValue,
                        "\(reader.subject) is a key of type \(quoted(words[0])), which is not supported",
                        at: node.span, hint: "give the machine's ssh-ed25519 key (or an ECDSA one)")
                    return nil
                }
                if Data(base64Encoded: words[1])?.isEmpty ?? true {
                    reader.warning(
                        "\(reader.subject) is not a whole key: no connection will match it", at: node.span,
                        hint: "take it from /etc/ssh/ssh_host_ed25519_key.pub of the machine")
                }
                return HostKey(type: words[0], base64: words[1])
            })
    }
}

/// Rules about paths, which end up in unit files and configuration.
enum PathText {
    static func hasControl(_ text: String) -> Bool {
        text.unicodeScalars.contains {
            [.control, .format, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
        }
    }

    private static func isPlain(_ text: String) -> Bool {
        !hasControl(text) && text.utf8.count <= 4096 && !text.contains { "\"'`$;\\".contains($0) }
    }

    static func isAbsolute(_ text: String) -> Bool {
        guard text.hasPrefix("/"), isPlain(text) else { return false }
        if text == "/" { return true }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    static let plain = TextRule(what: "", first: "/", rest: "A-Za-z0-9._/-", limit: 4096)

    static func isPlainAbsolute(_ text: String) -> Bool { plain.accepts(text) && isAbsolute(text) }

    /// A relative path without its `./`, or nil where it leaves its folder.
    static func inside(_ text: String) -> String? {
        guard isPlain(text), !text.hasPrefix("/"), !text.hasPrefix("~") else { return nil }
        let parts = text.split(separator: "/").filter { $0 != "." }
        guard !text.isEmpty, !parts.contains("..") else { return nil }
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }
}

/// Rules about names and addresses of hosts.
enum HostText {
    private static let rule = TextRule(what: "", first: "A-Za-z0-9:", rest: "A-Za-z0-9.:-", limit: 253)

    static func isHost(_ text: String) -> Bool {
        rule.accepts(text) && (isAddress(text) || !text.contains(":"))
    }

    static func isDomain(_ text: String) -> Bool {
        let body = text.hasPrefix("*.") ? text.dropFirst(2) : Substring(text)
        let label = TextRule(what: "", first: "a-z0-9", rest: "a-z0-9-", limit: 63)
        guard body.utf8.count <= 253, !body.isEmpty else { return false }
        return body.split(separator: ".", omittingEmptySubsequences: false)
            .allSatisfy { label.accepts(String($0)) && !$0.hasSuffix("-") }
    }

    static func isAddress(_ text: String) -> Bool {
        guard !text.contains("\0") else { return false }
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
    }

    static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let address = parts.first, isAddress(address), parts.count <= 2 else { return false }
        guard parts.count == 2 else { return true }
        guard parts[1].utf8.count <= 3, let bits = UInt8(parts[1]) else { return false }
        return bits <= (address.contains(":") ? 128 : 32)
    }
}
