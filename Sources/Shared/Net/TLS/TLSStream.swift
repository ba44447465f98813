import BasculeModel
import Glibc
import Synchronization

/// TLS 1.2 or 1.3 as a client over any other stream, so that it can also start in the middle of a protocol.
///
/// OpenSSL works on memory only: every wait happens in the stream below, with its deadlines, and a closed peer
/// cannot raise SIGPIPE.
package final class TLSStream: ByteStream {
    package let peer: String
    /// What was agreed, such as `TLSv1.3`.
    package let version: String
    /// SHA-256 of the peer's certificate in DER: what a pin holds.
    package let certificateSHA256: [UInt8]
    /// When the peer's certificate ends, in seconds since 1970; nil if unreadable.
    package let certificateExpires: Int64?
    private let below: any ByteStream
    private let context: TLSContext
    private let engine: Mutex<TLSEngine>
    /// Held while records are taken out of the engine and sent, so that they leave in order.
    private let sending = Mutex<Void>(())

    /// Connects and makes the handshake. `serverName` defaults to the endpoint's host.
    package static func connect(
        to endpoint: Endpoint, serverName: String? = nil, context: TLSContext, deadline: Deadline,
        resolver: any Resolver = SystemResolver()
    ) throws -> TLSStream {
        let name: String
        switch endpoint {
        case .host(let host, _): name = serverName ?? host
        case .address(let address, _): name = serverName ?? "\(address)"
        case .unix: name = serverName ?? "localhost"
        }
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline, resolver: resolver)
        return try TLSStream(over: stream, serverName: name, context: context, deadline: deadline)
    }

    /// Makes the handshake over an open stream, which then belongs to this one and is closed if it fails.
    ///
    /// Errors: `tls-verification-failed`, `tls-failed`, and those of the stream below.
    package init(over below: any ByteStream, serverName: String, context: TLSContext, deadline: Deadline) throws {
        var engine = try TLSEngine(context: context, serverName: serverName)
        do {
            try Self.handshake(&engine, below: below, deadline: deadline)
            let certificate = try engine.certificate(peer: below.peer)
            if case .pinned(let pin) = context.trust, pin != certificate.sha256 {
                throw BasculeError(
                    .tlsVerificationFailed, "The server's certificate is not the pinned one", at: .thing(below.peer),
                    cause: "its SHA-256 is \(hexadecimal(certificate.sha256))")
            }
            certificateSHA256 = certificate.sha256
            certificateExpires = certificate.expires
        } catch {
            engine.free()
            below.close()
            throw error
        }
        version = engine.version
        peer = below.peer
        self.below = below
        self.context = context
        self.engine = Mutex(engine)
    }

    deinit { engine.withLock { $0.free() } }

    private static func handshake(_ engine: inout TLSEngine, below: any ByteStream, deadline: Deadline) throws {
        // A handshake takes a few kilobytes; a peer that never ends it must not hold a thread for ever.
        var budget = 256 << 10
        while true {
            let outcome = engine.connect()
            let records = engine.takeOutgoing()
            if !records.isEmpty {
                do {
                    try below.write(records, deadline: deadline)
                } catch  where outcome == .failed {
                    // The alert could not be told; the handshake's own error says more.
                }
            }
            switch outcome {
            case .done: return
            case .needsBytes:
                let bytes = try below.read(max: 16 << 10, deadline: deadline)
                budget -= bytes.count
                guard !bytes.isEmpty, budget > 0 else {
                    throw BasculeError(
                        .tlsFailed, "The peer ended the TLS handshake", at: .thing(below.peer),
                        hint: "Check that this port speaks TLS.")
                }
                engine.give(bytes)
            case .ended, .failed: throw engine.handshakeError(peer: below.peer)
            }
        }
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline) throws -> Int {
        guard buffer.count > 0 else { return 0 }
        while true {
            let (count, outcome, mustSend, cause) = engine.withLock { engine in
                let (count, outcome) = engine.read(into: buffer)
                return (count, outcome, engine.hasOutgoing, outcome == .failed ? engine.takeErrors() : nil)
            }
            if mustSend {
                try sending.withLock { _ in
                    let records = engine.withLock { $0.takeOutgoing() }
                    if !records.isEmpty { try below.write(records, deadline: deadline) }
                }
            }
            switch outcome {
            case .done: return count
            case .ended: return 0
            case .failed: throw BasculeError(.tlsFailed, "Could not receive over TLS", at: .thing(peer), cause: cause)
            case .needsBytes:
                let bytes = try below.read(max: 16 << 10, deadline: deadline)
                guard !bytes.isEmpty else {
                    throw BasculeError(
                        .connectionClosed, "The peer closed without ending TLS: the data may be cut off",
                        at: .thing(peer))
                }
                engine.withLock { $0.give(bytes) }
            }
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, deadline: Deadline) throws {
        var start = 0
        while start < bytes.count {
            // One record at a time bounds the memory that OpenSSL needs.
            let end = min(start + 16 << 10, bytes.count)
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            try sending.withLock { _ in
                let (outcome, records, cause) = engine.withLock { engine in
                    let outcome = engine.write(part)
                    return (outcome, engine.takeOutgoing(), outcome == .done ? nil : engine.takeErrors())
                }
                guard outcome == .done else {
                    throw BasculeError(.tlsFailed, "Could not send over TLS", at: .thing(peer), cause: cause)
                }
                try below.write(records, deadline: deadline)
            }
            start = end
        }
    }

    package func close() {
        // Best effort: whoever is stuck in a write holds the lock, and then the connection is broken anyway.
        let farewell = sending.withLockIfAvailable { _ in
            engine.withLock { engine in
                engine.end()
                return engine.takeOutgoing()
            }
        }
        if let farewell, !farewell.isEmpty { try? below.write(farewell, deadline: .after(.zero)) }
        below.close()
    }
}

/// Bytes in lower-case hexadecimal.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
