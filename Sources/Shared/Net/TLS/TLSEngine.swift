import BasculeModel
import Glibc

/// One `SSL` object between two memory buffers: the only place where its calls and their results are handled.
///
/// It blocks on nothing and does no input or output. `free()` must be called once, by its one owner, which also
/// keeps it behind a mutex: OpenSSL lets any thread use an `SSL`, but only one at a time.
struct TLSEngine: @unchecked Sendable {
    enum Outcome { case done, needsBytes, ended, failed }

    private let library: TLSLibrary
    private let ssl: OpaquePointer
    /// From the peer, and to it. Owned by `ssl`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private let serverName: String

    init(context: TLSContext, serverName: String) throws {
        library = context.library
        library.clearErrors()
        let name = serverName.hasSuffix(".") ? String(serverName.dropLast()) : serverName
        self.serverName = name
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw BasculeError(.invalidInput, "‘\(name)’ cannot be the name of a TLS server")
        }
        guard let ssl = library.new(context.pointer) else { throw Self.outOfMemory(library) }
        guard let incoming = library.streamNew(library.memoryKind()) else {
            library.free(ssl)
            throw Self.outOfMemory(library)
        }
        guard let outgoing = library.streamNew(library.memoryKind()) else {
            _ = library.streamFree(incoming)
            library.free(ssl)
            throw Self.outOfMemory(library)
        }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        library.setStreams(ssl, incoming, outgoing)
        guard prepare(context.trust) else {
            library.free(ssl)
            throw BasculeError(.tlsFailed, "Could not set up TLS for ‘\(name)’", cause: library.takeErrors())
        }
    }

    /// Server name, and what to verify. Fails closed: a name that cannot be checked is no connection.
    private func prepare(_ trust: TLSTrust) -> Bool {
        let isAddress = IPAddress(serverName) != nil
        if !isAddress {
            var name = serverName.utf8CString
            let sent = name.withUnsafeMutableBytes {
                library.control(ssl, TLSConstant.setServerName, 0, $0.baseAddress)
            }
            guard sent == 1 else { return false }
        }
        switch trust {
        case .pinned, .unverified:
            library.setVerify(ssl, TLSConstant.verifyNone, nil)
            return true
        case .systemStore, .authorities:
            library.setVerify(ssl, TLSConstant.verifyPeer, nil)
            if isAddress { return library.parameterSetAddress(library.parameters(ssl), serverName) == 1 }
            library.setHostFlags(ssl, TLSConstant.noPartialWildcards)
            return library.setHost(ssl, serverName) == 1
        }
    }

    func free() { library.free(ssl) }

    mutating func connect() -> Outcome {
        library.clearErrors()
        let result = library.connect(ssl)
        return result == 1 ? .done : outcome(of: result)
    }

    mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> (count: Int, Outcome) {
        library.clearErrors()
        let result = library.read(ssl, buffer.baseAddress, CInt(clamping: buffer.count))
        return result > 0 ? (Int(result), .done) : (0, outcome(of: result))
    }

    /// At most 16 KiB at a time; memory takes them all at once.
    mutating func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        library.clearErrors()
        let result = library.write(ssl, bytes.baseAddress, CInt(clamping: bytes.count))
        return Int(result) == bytes.count ? .done : .failed
    }

    /// Says goodbye, if the handshake got that far.
    mutating func end() {
        library.clearErrors()
        _ = library.shutdown(ssl)
        library.clearErrors()
    }

    mutating func give(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { library.streamWrite(incoming, $0.baseAddress, CInt(clamping: $0.count)) }
    }

    var hasOutgoing: Bool { library.streamPending(outgoing) > 0 }

    mutating func takeOutgoing() -> [UInt8] {
        let count = library.streamPending(outgoing)
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = max(0, Int(library.streamRead(outgoing, buffer.baseAddress, CInt(clamping: count))))
        }
    }

    func takeErrors() -> String? { library.takeErrors() }

    var version: String { library.version(ssl).map { String(cString: $0) } ?? "unknown" }

    func certificate(peer: String) throws -> (sha256: [UInt8], expires: Int64?) {
        guard let certificate = library.peerCertificate(ssl) else {
            throw BasculeError(.tlsVerificationFailed, "The server showed no certificate", at: .thing(peer))
        }
        defer { library.certificateFree(certificate) }
        var digest = [UInt8](repeating: 0, count: 64)
        var size: CUnsignedInt = 0
        guard library.certificateDigest(certificate, library.sha256(), &digest, &size) == 1, size == 32 else {
            throw BasculeError(.tlsFailed, "Could not hash the server's certificate", at: .thing(peer))
        }
        var end = tm()
        let readable = library.timeToTM(library.certificateEnd(certificate), &end) == 1
        return (Array(digest.prefix(32)), readable ? Int64(timegm(&end)) : nil)
    }

    func handshakeError(peer: String) -> BasculeError {
        let result = library.verifyResult(ssl)
        let errors = library.takeErrors()
        guard result != TLSConstant.verified else {
            return BasculeError(
                .tlsFailed, "The TLS handshake failed", at: .thing(peer), cause: errors,
                hint: "Check that this port speaks TLS 1.2 or later.")
        }
        let reason = library.verifyText(result).map { String(cString: $0) } ?? "error \(result)"
        return BasculeError(
            .tlsVerificationFailed, "The server's certificate does not prove that it is ‘\(serverName)’",
            at: .thing(peer), cause: reason)
    }

    private func outcome(of result: CInt) -> Outcome {
        switch library.lastError(ssl, result) {
        case TLSConstant.errorWantRead: .needsBytes
        case TLSConstant.errorZeroReturn: .ended
        default: .failed
        }
    }

    private static func outOfMemory(_ library: TLSLibrary) -> BasculeError {
        BasculeError(.tlsFailed, "Could not set up TLS", cause: library.takeErrors())
    }
}
