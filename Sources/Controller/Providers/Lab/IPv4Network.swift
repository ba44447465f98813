import BasculeModel
import Foundation

/// An IPv4 network, or a single address with a prefix of 32.
struct IPv4Network: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The network's first address, host bits zero.
    let base: UInt32
    /// 0 to 32.
    let prefix: Int

    init(base: UInt32, prefix: Int) {
        self.prefix = min(max(prefix, 0), 32)
        self.base = base & Self.mask(self.prefix)
    }

    /// `a.b.c.d` or `a.b.c.d/n`; nil for anything else, the word `default` included.
    init?(_ text: some StringProtocol) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        let octets = halves[0].split(separator: ".", omittingEmptySubsequences: false)
        guard halves.count <= 2, octets.count == 4 else { return nil }
        var base: UInt32 = 0
        for octet in octets {
            guard let value = UInt8(octet) else { return nil }
            base = base << 8 | UInt32(value)
        }
        var prefix = 32
        if halves.count == 2 {
            guard let value = Int(halves[1]), (0...32).contains(value) else { return nil }
            prefix = value
        }
        self.init(base: base, prefix: prefix)
    }

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let network = IPv4Network(text) else {
            throw BasculeError(.invalidInput, "\"\(text)\" is no IPv4 network")
        }
        self = network
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    func overlaps(_ other: IPv4Network) -> Bool {
        let mask = Self.mask(min(prefix, other.prefix))
        return base & mask == other.base & mask
    }

    /// The address with this number within the network.
    func address(_ host: Int) -> String { Self.dotted(base | UInt32(host)) }

    var description: String { "\(Self.dotted(base))/\(prefix)" }

    private static func mask(_ prefix: Int) -> UInt32 { prefix == 0 ? 0 : ~UInt32(0) << UInt32(32 - prefix) }

    private static func dotted(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }
}

/// The choice of a lab's subnet.
enum LabSubnet {
    /// Tried in this order: corners of the private ranges that home routers, clouds and container engines leave alone.
    static let candidates: [IPv4Network] =
        (0..<256).map { IPv4Network(base: 10 << 24 | 213 << 16 | $0 << 8, prefix: 24) }
        + (0..<256).map { IPv4Network(base: 172 << 24 | 29 << 16 | $0 << 8, prefix: 24) }
        + (213..<250).map { IPv4Network(base: 192 << 24 | 168 << 16 | $0 << 8, prefix: 24) }

    /// The first candidate that overlaps nothing taken.
    static func choose(from candidates: [IPv4Network] = candidates, taken: [IPv4Network]) -> IPv4Network? {
        candidates.first { candidate in !taken.contains { $0.overlaps(candidate) } }
    }

    /// The networks in the output of `ip -j -4 route show table all` and `ip -j -4 address`. The default route covers
    /// everything and takes nothing.
    static func taken(routes: [UInt8], addresses: [UInt8]) throws -> [IPv4Network] {
        struct Route: Decodable { var dst: String? }
        struct Link: Decodable {
            struct Address: Decodable {
                var local: String?
                var prefixlen: Int?
            }
            var addr_info: [Address]?
        }
        let decoder = JSONDecoder()
        let routed = try decoder.decode([Route].self, from: Data(routes)).compactMap {
            $0.dst.flatMap { IPv4Network($0) }
        }
        let linked = try decoder.decode([Link].self, from: Data(addresses)).flatMap { $0.addr_info ?? [] }
            .compactMap { address -> IPv4Network? in
                guard let local = address.local, let one = IPv4Network(local) else { return nil }
                return IPv4Network(base: one.base, prefix: address.prefixlen ?? 32)
            }
        return (routed + linked).filter { $0.prefix > 0 }
    }
}
