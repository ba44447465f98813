import BasculeModel
import Dispatch
import Glibc

/// One address of a host, ready for `connect`.
struct SocketAddress: Sendable {
    let family: Int32
    let bytes: [UInt8]

    /// Looks a host up. With `numericOnly` it never asks anybody, so it never blocks. The number is getaddrinfo's.
    static func resolve(_ endpoint: SSHEndpoint, numericOnly: Bool) -> (addresses: [SocketAddress], status: Int32) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = numericOnly ? AI_NUMERICHOST | AI_NUMERICSERV : AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(endpoint.host, "\(endpoint.port)", &hints, &list)
        guard status == 0 else { return ([], status) }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var entry = list
        while let current = entry?.pointee {
            if let address = current.ai_addr {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(current.ai_addrlen))
                found.append(SocketAddress(family: current.ai_family, bytes: Array(bytes)))
            }
            entry = current.ai_next
        }
        return (found, 0)
    }
}

/// What a look-up on another thread leaves behind; written and read on the loop's thread.
private final class Lookup: @unchecked Sendable {
    var answer: (addresses: [SocketAddress], status: Int32)?
}

extension SSHSession {
    typealias Instant = ContinuousClock.Instant

    /// The addresses of the endpoint; the look-up itself runs on another thread.
    func addresses(until deadline: Instant) async throws -> [SocketAddress] {
        let numeric = SocketAddress.resolve(endpoint, numericOnly: true).addresses
        if !numeric.isEmpty { return numeric }
        let (lookup, list, loop, endpoint) = (Lookup(), WaitList(loop: loop), loop, endpoint)
        DispatchQueue.global().async {
            let answer = SocketAddress.resolve(endpoint, numericOnly: false)
            loop.submit {
                lookup.answer = answer
                list.wakeAll()
            }
        }
        while true {
            if let answer = lookup.answer {
                if !answer.addresses.isEmpty { return answer.addresses }
                throw BasculeError(
                    .sshUnknownHost, "the host's name does not resolve",
                    cause: String(cString: gai_strerror(answer.status)),
                    hint: "check the name, or give the address")
            }
            if ContinuousClock.now >= deadline { throw SSHFailure.late("the name look-up") }
            try await list.wait(until: deadline, on: self)
        }
    }

    /// A connected, non-blocking TCP socket. Addresses are tried in turn, each with its share of the time left.
    func dial(until deadline: Instant) async throws -> Int32 {
        let addresses = try await addresses(until: deadline).prefix(6)
        var last: any Error = SSHFailure.late("the connection")
        for (index, address) in addresses.enumerated() {
            let now = ContinuousClock.now
            let share = index == addresses.count - 1 ? deadline : now + (deadline - now) / 2
            do { return try await connect(address, until: share) } catch let error as BasculeError { last = error }
        }
        throw last
    }

    private func connect(_ address: SocketAddress, until deadline: Instant) async throws -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, kind, 0)
        guard descriptor >= 0 else { throw SSHSession.refusal(errno) }
        do {
            SSHSession.tune(descriptor)
            try await connect(descriptor, to: address.bytes, until: deadline)
            return descriptor
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// Connects a non-blocking socket of any family.
    func connect(_ descriptor: Int32, to address: [UInt8], until deadline: Instant) async throws {
        let status = address.withUnsafeBytes { bytes in
            bytes.baseAddress.map {
                Glibc.connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            } ?? -1
        }
        if status == 0 { return }
        guard errno == EINPROGRESS || errno == EAGAIN else { throw SSHSession.refusal(errno) }
        let source = Source(descriptor: descriptor, loop: loop)
        defer { source.close() }
        while true {
            try await source.wait(.writable, until: deadline, on: self)
            var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&watched, 1, 0) == 1 { break }
            if ContinuousClock.now >= deadline { throw SSHFailure.late("the TCP connection") }
        }
        var problem: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size)
        if problem != 0 { throw SSHSession.refusal(problem) }
    }

    /// No delay, and a dead peer is noticed within half a minute even when nothing is sent.
    private static func tune(_ descriptor: Int32) {
        let protocolNumber = Int32(IPPROTO_TCP)
        let options: [(Int32, Int32, Int32)] = [
            (protocolNumber, TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 1), (protocolNumber, TCP_KEEPIDLE, 15),
            (protocolNumber, TCP_KEEPINTVL, 5), (protocolNumber, TCP_KEEPCNT, 3),
            (protocolNumber, TCP_USER_TIMEOUT, 30_000),
        ]
        for (level, option, value) in options {
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private static func refusal(_ number: Int32) -> BasculeError {
        switch number {
        case ECONNREFUSED:
            BasculeError(
                .sshRefused, "the connection was refused: nothing listens on that port", cause: errorText(number),
                hint: "check the port, and that sshd runs")
        case ECONNRESET, EPIPE: SSHFailure.dropped(attempts: 1, cause: errorText(number))
        case ETIMEDOUT: SSHFailure.late("the TCP connection")
        default:
            BasculeError(
                .sshUnreachable, "the host cannot be reached", cause: errorText(number),
                hint: "check the address, the network, and that the host is up")
        }
    }
}
