import Glibc

/// The addresses of the node's network interfaces.
enum Interfaces {
    /// With prefix lengths, sorted; without loopback and link-local ones.
    static func addresses() -> [String] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: Set<String> = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0, let address = entry.ifa_addr,
                let text = text(address)
            else { continue }
            guard !text.hasPrefix("fe80"), !text.hasPrefix("169.254.") else { continue }
            found.insert("\(text)/\(entry.ifa_netmask.map(prefix) ?? 0)")
        }
        return found.sorted()
    }

    private static func text(_ address: UnsafeMutablePointer<sockaddr>) -> String? {
        let family = Int32(address.pointee.sa_family)
        let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        guard family == AF_INET || family == AF_INET6 else { return nil }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard getnameinfo(address, socklen_t(size), &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
        }
        let bytes = host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "%") }, as: UTF8.self)
    }

    /// How many bits of a mask are set.
    private static func prefix(_ mask: UnsafeMutablePointer<sockaddr>) -> Int {
        let isFour = Int32(mask.pointee.sa_family) == AF_INET
        // The address begins at byte 4 of sockaddr_in and at byte 8 of sockaddr_in6.
        let (start, count) = isFour ? (4, 4) : (8, 16)
        return (start..<(start + count)).reduce(0) {
            $0 + UnsafeRawPointer(mask).load(fromByteOffset: $1, as: UInt8.self).nonzeroBitCount
        }
    }
}
