import BasculeModel
import Glibc
import Synchronization

/// A TCP or Unix stream socket, the only owner of its descriptor.
///
/// The descriptor is non-blocking; waiting is done by `poll` with what is left of the deadline. `close()` shuts the
/// connection down at once, but the descriptor's number is freed only with the last reference, so that no other
/// thread can find itself on a stranger's socket.
package final class TCPStream: ByteStream {
    package let peer: String
    /// The address really used, nil for a Unix socket.
    package let address: IPAddress?
    private let descriptor: Int32
    private let closed = Atomic<Bool>(false)

    private init(descriptor: Int32, peer: String, address: IPAddress?) {
        self.descriptor = descriptor
        self.peer = peer
        self.address = address
    }

    deinit { Glibc.close(descriptor) }

    /// Connects to the first address that answers, in the resolver's order; the deadline is shared out among them.
    ///
    /// Errors: `name-not-resolved`, `connect-failed`, `timed-out`.
    package static func connect(
        to endpoint: Endpoint, deadline: Deadline, resolver: any Resolver = SystemResolver()
    ) throws -> TCPStream {
        switch endpoint {
        case .unix(let path):
            return try open(SocketAddress(unix: path), address: nil, peer: path, deadline: deadline)
        case .address(let address, let port):
            return try open(
                SocketAddress(address, port: port), address: address, peer: "\(endpoint)", deadline: deadline)
        case .host(let name, let port):
            let addresses = try resolver.addresses(of: name, deadline: deadline)
            var failure = BasculeError(.nameNotResolved, "The name has no address", at: .thing(name))
            for (index, address) in addresses.enumerated() {
                do {
                    return try open(
                        SocketAddress(address, port: port), address: address, peer: "\(endpoint)",
                        deadline: deadline.share(of: addresses.count - index))
                } catch let error as BasculeError {
                    failure = error
                }
            }
            throw failure
        }
    }

    private static func open(
        _ target: SocketAddress, address: IPAddress?, peer: String, deadline: Deadline
    ) throws -> TCPStream {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(target.family, kind, 0)
        guard descriptor >= 0 else {
            throw BasculeError(.connectFailed, "Could not open a socket", at: .thing(peer), cause: errorText(errno))
        }
        let stream = TCPStream(descriptor: descriptor, peer: peer, address: address)
        if address != nil {
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        let result = target.withPointer { Glibc.connect(descriptor, $0, $1) }
        if result != 0 {
            // EAGAIN is a Unix socket whose listener's queue is full: nothing to wait for.
            guard errno == EINPROGRESS || errno == EINTR else { throw refused(errno, peer: peer, address: address) }
            try stream.wait(for: POLLOUT, "connect", deadline: deadline)
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
            guard code == 0 else { throw refused(code, peer: peer, address: address) }
        }
        return stream
    }

    private static func refused(_ number: Int32, peer: String, address: IPAddress?) -> BasculeError {
        let via = address.map { peer.contains("\($0)") ? "" : " (\($0))" } ?? ""
        return BasculeError(
            .connectFailed, "Could not connect\(via)", at: .thing(peer), cause: errorText(number),
            hint: number == ECONNREFUSED ? "Check that the service runs and listens on this address and port." : nil)
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline) throws -> Int {
        guard buffer.count > 0 else { return 0 }
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count >= 0 {
                guard count > 0 || !closed.load(ordering: .acquiring) else { throw closedHere() }
                return count
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: try wait(for: POLLIN, "receive", deadline: deadline)
            case let number: throw socketError(number, "receive", at: peer)
            }
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, deadline: Deadline) throws {
        var sent = 0
        while sent < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
            let count = send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                sent += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: try wait(for: POLLOUT, "send", deadline: deadline)
            case let number:
                throw closed.load(ordering: .acquiring) ? closedHere() : socketError(number, "send", at: peer)
            }
        }
    }

    package func close() {
        closed.store(true, ordering: .releasing)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// For waiting on several at once with `poll`; not to be read, written or closed.
    package var pollDescriptor: Int32 { descriptor }

    /// Whether the peer has already ended or sent something unasked: then a kept connection cannot be used again.
    package var isStale: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return closed.load(ordering: .acquiring) || poll(&entry, 1, 0) != 0
    }

    private func wait(for events: Int32, _ action: String, deadline: Deadline) throws {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = poll(&entry, 1, deadline.pollMilliseconds)
            if count > 0 { return }
            if count < 0, errno != EINTR { throw socketError(errno, action, at: peer) }
            if deadline.passed {
                throw BasculeError(.timedOut, "Could not \(action) before the deadline", at: .thing(peer))
            }
        }
    }

    private func closedHere() -> BasculeError {
        BasculeError(.connectionClosed, "The connection was closed on this side", at: .thing(peer))
    }
}
