import BasculeModel
import Glibc
import Synchronization

/// Turns a host name into addresses.
package protocol Resolver: Sendable {
    /// At least one address, best first. Errors: `name-not-resolved`, `timed-out`.
    func addresses(of host: String, deadline: Deadline) throws -> [IPAddress]
}

/// Always the same address, whatever the name: tests one server before the DNS points to it.
package struct FixedResolver: Resolver {
    package let address: IPAddress
    package init(_ address: IPAddress) { self.address = address }
    package func addresses(of host: String, deadline: Deadline) throws -> [IPAddress] { [address] }
}

/// The machine's own way (`/etc/hosts`, `resolv.conf`, nsswitch).
///
/// `getaddrinfo` knows no deadline, so it runs on a thread of its own, which ends by itself after resolv.conf's
/// timeouts if the caller has gone before.
package struct SystemResolver: Resolver {
    package init() {}

    package func addresses(of host: String, deadline: Deadline) throws -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw BasculeError(.nameNotResolved, "Not a host name", at: .thing(host))
        }
        let lookup = Lookup(host: host)
        guard lookup.start() else {
            throw BasculeError(.nameNotResolved, "Could not start a thread to resolve the name", at: .thing(host))
        }
        // 2 ms is far below what a lookup over the network takes, and /etc/hosts answers within the first one.
        while lookup.result.withLock({ $0 == nil }), !deadline.passed { Monotonic.sleep(.milliseconds(2)) }
        switch lookup.result.withLock({ $0 }) {
        case nil:
            throw BasculeError(.timedOut, "Could not resolve the name before the deadline", at: .thing(host))
        case .failure(let error)?: throw error
        case .success(let addresses)?: return addresses
        }
    }
}

/// One call of `getaddrinfo` on its own thread.
private final class Lookup: Sendable {
    let host: String
    let result = Mutex<Result<[IPAddress], BasculeError>?>(nil)

    init(host: String) { self.host = host }

    func start() -> Bool {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { raw in
            guard let raw else { return nil }
            let lookup = Unmanaged<Lookup>.fromOpaque(raw).takeRetainedValue()
            let answer = lookup.ask()
            lookup.result.withLock { $0 = answer }
            return nil
        }
        guard pthread_create(&thread, nil, body, context.toOpaque()) == 0 else {
            context.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func ask() -> Result<[IPAddress], BasculeError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            return .failure(
                BasculeError(
                    .nameNotResolved, "The name cannot be resolved", at: .thing(host),
                    cause: String(cString: gai_strerror(code))))
        }
        var found: [IPAddress] = []
        var entry = list
        while let item = entry?.pointee {
            if let address = Self.address(item), !found.contains(address) { found.append(address) }
            entry = item.ai_next
        }
        guard !found.isEmpty else {
            return .failure(BasculeError(.nameNotResolved, "The name has no address", at: .thing(host)))
        }
        return .success(found)
    }

    private static func address(_ item: addrinfo) -> IPAddress? {
        guard let raw = item.ai_addr else { return nil }
        let bytes = [UInt8](UnsafeRawBufferPointer(start: raw, count: Int(item.ai_addrlen)))
        switch item.ai_family {
        case AF_INET where bytes.count >= 8: return IPAddress(bytes: Array(bytes[4..<8]))
        case AF_INET6 where bytes.count >= 24: return IPAddress(bytes: Array(bytes[8..<24]))
        default: return nil
        }
    }
}
