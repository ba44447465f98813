import BasculeModel

/// An absolute `http` or `https` URL, taken apart strictly: nothing in it can break out of a request line.
package struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
    package let secure: Bool
    /// Lower case; an IPv6 address without its brackets.
    package let host: String
    package let port: UInt16
    /// Path and query as sent: begins with `/`, visible ASCII only.
    package let target: String

    /// Error: `invalid-input`.
    package init(_ text: String) throws {
        let (secure, rest) = try Self.scheme(of: text)
        let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
        self.secure = secure
        (host, port) = try Self.authority(rest[..<end], secure: secure, of: text)
        target = try Self.target(rest[end...], of: text)
    }

    private init(secure: Bool, host: String, port: UInt16, target: String) {
        self.secure = secure
        self.host = host
        self.port = port
        self.target = target
    }

    /// Where a reference (a `Location`, a journey's path) leads from here. Error: `invalid-input`.
    package func resolving(_ reference: String) throws -> HTTPURL {
        if Self.hasScheme(reference) { return try HTTPURL(reference) }
        if reference.hasPrefix("//") { return try HTTPURL((secure ? "https:" : "http:") + reference) }
        let bytes = Array(reference.utf8)
        let path = String(target.prefix { $0 != "?" })
        let next: String
        switch bytes.first {
        case nil, UInt8(ascii: "#"): next = target
        case UInt8(ascii: "/"): next = try Self.target(bytes[...], of: reference)
        case UInt8(ascii: "?"): next = path + (try Self.target(bytes[...], of: reference)).dropFirst()
        default:
            let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
            next = try Self.target(Array((folder + reference).utf8)[...], of: reference)
        }
        return HTTPURL(secure: secure, host: host, port: port, target: Self.withoutDots(next))
    }

    /// The `Host` header's value.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (secure ? 443 : 80) ? name : "\(name):\(port)"
    }

    package var description: String { "\(secure ? "https" : "http")://\(authority)\(target)" }

    private static func hasScheme(_ text: String) -> Bool {
        let lower = text.prefix(8).lowercased()
        return lower.hasPrefix("http://") || lower.hasPrefix("https://")
    }

    private static func scheme(of text: String) throws -> (secure: Bool, rest: ArraySlice<UInt8>) {
        let lower = text.prefix(8).lowercased()
        let bytes = Array(text.utf8)
        if lower.hasPrefix("https://") { return (true, bytes[8...]) }
        if lower.hasPrefix("http://") { return (false, bytes[7...]) }
        throw bad(text, "it must begin with http:// or https://")
    }

    private static func authority(
        _ bytes: ArraySlice<UInt8>, secure: Bool, of text: String
    ) throws -> (String, UInt16) {
        let plain = String(decoding: bytes, as: UTF8.self)
        var name = plain
        var port = UInt16(secure ? 443 : 80)
        let portStart: String.Index?
        if plain.hasPrefix("["), let end = plain.firstIndex(of: "]") {
            name = String(plain[plain.index(after: plain.startIndex)..<end])
            guard let address = IPAddress(name), !address.isIPv4 else { throw bad(text, "no such IPv6 address") }
            let after = plain.index(after: end)
            portStart = after == plain.endIndex ? nil : after
        } else {
            portStart = plain.firstIndex(of: ":")
            if let portStart { name = String(plain[..<portStart]) }
            let allowed = name.utf8.allSatisfy {
                ($0 | 0x20 >= 97 && $0 | 0x20 <= 122) || ($0 >= 48 && $0 <= 57) || [45, 46, 95].contains($0)
            }
            guard !name.isEmpty, name.utf8.count <= 253, allowed else {
                throw bad(text, "its host must be a plain host name or address, without a user name")
            }
        }
        if let portStart {
            guard plain[portStart] == ":", let number = UInt16(plain[plain.index(after: portStart)...]), number > 0
            else { throw bad(text, "no such port") }
            port = number
        }
        return (name.lowercased(), port)
    }

    /// The fragment is dropped, blanks and non-ASCII bytes are percent-encoded, control characters refused.
    private static func target(_ bytes: ArraySlice<UInt8>, of text: String) throws -> String {
        var result: [UInt8] = bytes.first == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]
        for byte in bytes {
            if byte == UInt8(ascii: "#") { break }
            switch byte {
            case 0..<32, 127: throw bad(text, "it has a control character")
            case 33...126: result.append(byte)
            default: result += Array("%\(hexadecimal([byte]).uppercased())".utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func withoutDots(_ target: String) -> String {
        let query = target.firstIndex(of: "?").map { target[$0...] } ?? ""
        let path = target.prefix { $0 != "?" }
        var parts: [Substring] = []
        let pieces = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for (index, piece) in zip(pieces.indices, pieces) {
            let last = index == pieces.index(before: pieces.endIndex)
            switch piece {
            case ".": if last { parts.append("") }
            case "..":
                if !parts.isEmpty { parts.removeLast() }
                if last { parts.append("") }
            default: parts.append(piece)
            }
        }
        return "/" + parts.joined(separator: "/") + query
    }

    private static func bad(_ text: String, _ reason: String) -> BasculeError {
        BasculeError(.invalidInput, "‘\(text.prefix(200))’ cannot be used as a URL: \(reason)")
    }
}
