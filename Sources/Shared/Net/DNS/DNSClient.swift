import BasculeModel
import Glibc

extension ErrorCode {
    /// A DNS server refused or failed; the cause names its response code.
    package static let dnsFailed: ErrorCode = "dns-failed"
    /// A dynamic update's prerequisite does not hold: the record set is not what it was believed to be.
    package static let dnsPrerequisiteFailed: ErrorCode = "dns-prerequisite-failed"
    /// A dynamic update was refused: wrong key, wrong signature, clock, or no right to the name.
    package static let dnsNotAuthorized: ErrorCode = "dns-not-authorized"
    /// The connection broke after the update was sent: query the record set to learn what became of it.
    package static let dnsOutcomeUnknown: ErrorCode = "dns-outcome-unknown"
}

/// Asks one DNS server directly.
package struct DNSClient: Sendable {
    package let server: IPAddress
    package let port: UInt16

    package init(server: IPAddress, port: UInt16 = 53) { (self.server, self.port) = (server, port) }

    var endpoint: Endpoint { .address(server, port: port) }

    /// The server's whole answer; `NXDOMAIN` and other codes are in it, not errors.
    ///
    /// UDP with a fresh port and id for each try, tried again after 1, 2, 4 s until the deadline; TCP when the
    /// answer did not fit. Errors: `timed-out`, `connect-failed`, `protocol-violation`, `input-output`.
    package func query(
        _ name: DNSName, _ type: DNSType, recursionDesired: Bool = false, deadline: Deadline
    ) throws -> DNSMessage {
        var patience = Duration.seconds(1)
        let question = DNSQuestion(name: name, type: type)
        while true {
            let query = DNSMessage.query(question, recursionDesired: recursionDesired)
            let answer = try overUDP(query, deadline: deadline.earlier(.after(patience)))
            if let answer, answer.truncated { return try overTCP(query, deadline: deadline) }
            if let answer { return answer }
            guard !deadline.passed else {
                throw BasculeError(.timedOut, "The DNS server did not answer", at: .thing("\(endpoint)"))
            }
            patience = patience * 2
        }
    }

    /// Nil if no fitting answer came in time.
    private func overUDP(_ query: DNSMessage, deadline: Deadline) throws -> DNSMessage? {
        let target = SocketAddress(server, port: port)
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(target.family, kind, 0)
        guard descriptor >= 0 else { throw socketError(errno, "open a socket", at: "\(endpoint)") }
        defer { close(descriptor) }
        // Connecting chooses a random port and lets only this server's datagrams in.
        guard target.withPointer({ connect(descriptor, $0, $1) }) == 0 else {
            throw BasculeError(
                .connectFailed, "Could not reach the DNS server", at: .thing("\(endpoint)"), cause: errorText(errno))
        }
        let bytes = query.encoded()
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw unreachable(errno)
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while !deadline.passed {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count >= 0 {
                // Anything else is a forgery or late: keep waiting for ours.
                if let answer = try? Self.answer(to: query, Array(buffer[..<count])) { return answer }
            } else if errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                poll(&entry, 1, deadline.pollMilliseconds)
            } else if errno != EINTR {
                throw unreachable(errno)
            }
        }
        return nil
    }

    private func unreachable(_ number: Int32) -> BasculeError {
        BasculeError(
            .connectFailed, "The DNS server cannot be reached", at: .thing("\(endpoint)"), cause: errorText(number))
    }

    private func overTCP(_ query: DNSMessage, deadline: Deadline) throws -> DNSMessage {
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline)
        return try Self.answer(to: query, try Self.exchange(query.encoded(), over: stream, deadline: deadline))
    }

    /// One message and its answer over TCP, after which the stream is closed.
    static func exchange(_ bytes: [UInt8], over stream: TCPStream, deadline: Deadline) throws -> [UInt8] {
        defer { stream.close() }
        guard let length = UInt16(exactly: bytes.count) else {
            throw BasculeError(.invalidInput, "A DNS message has at most 65535 bytes, not \(bytes.count)")
        }
        try stream.write(length.bytes + bytes, deadline: deadline)
        let head = try stream.read(exactly: 2, deadline: deadline)
        return try stream.read(exactly: Int(head[0]) << 8 | Int(head[1]), deadline: deadline)
    }

    /// The answer, if it is one to this very query.
    static func answer(to query: DNSMessage, _ bytes: [UInt8]) throws -> DNSMessage {
        var decoder = DNSDecoder(bytes)
        let answer = try decoder.message()
        guard answer.isResponse, answer.id == query.id, answer.operation == query.operation,
            answer.questions == query.questions || answer.questions.isEmpty && answer.code != .noError
        else { throw DNSDecoder.broken("it answers another question") }
        return answer
    }
}
