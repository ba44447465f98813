import BasculeModel
import Glibc

/// An IPv4 or IPv6 address, as bytes: two spellings of one address are equal.
package struct IPAddress: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 4 or 16 bytes in network order.
    package let bytes: [UInt8]

    /// An address from its bytes; nil unless there are 4 or 16.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// An address from its textual form (`203.0.113.10`, `2001:db8::1`); nil if it is not one.
    package init?(_ text: String) {
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = four
            return
        }
        var sixteen = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
        bytes = sixteen
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let address = IPAddress(text) else {
            throw BasculeError(.invalidInput, "‘\(text)’ is not an IP address")
        }
        self = address
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Whether it is an IPv4 address.
    package var isIPv4: Bool { bytes.count == 4 }

    package var description: String {
        var text = [CChar](repeating: 0, count: 64)
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Where to connect to.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name or an IP address in text, and a port.
    case host(String, port: UInt16)
    case address(IPAddress, port: UInt16)
    /// A Unix stream socket.
    case unix(path: String)

    package var description: String {
        switch self {
        case .host(let name, let port): "\(name):\(port)"
        case .address(let address, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .unix(let path): path
        }
    }
}

/// A `sockaddr` as the bytes that Linux wants; built by hand because the C unions are awkward from Swift.
struct SocketAddress {
    let family: Int32
    let bytes: [UInt8]

    init(_ address: IPAddress, port: UInt16) {
        family = address.isIPv4 ? AF_INET : AF_INET6
        var raw = withUnsafeBytes(of: UInt16(family)) { Array($0) }
        raw += [UInt8(port >> 8), UInt8(port & 0xff)]
        if address.isIPv4 {
            raw += address.bytes + [UInt8](repeating: 0, count: 8)
        } else {
            raw += [0, 0, 0, 0] + address.bytes + [0, 0, 0, 0]
        }
        bytes = raw
    }

    init(unix path: String) throws {
        let name = Array(path.utf8)
        guard !name.isEmpty, name.count <= 107, !name.contains(0) else {
            throw BasculeError(
                .invalidInput, "A Unix socket's path has 1 to 107 bytes and no zero byte", at: .thing(path))
        }
        family = AF_UNIX
        bytes = withUnsafeBytes(of: UInt16(AF_UNIX)) { Array($0) } + name + [0]
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        // The storage outlives the call and is aligned for every kind of socket address.
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(bytes.count)) }
        }
    }
}
