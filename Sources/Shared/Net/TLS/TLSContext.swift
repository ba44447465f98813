import BasculeModel
import Glibc

/// Why a peer's certificate is believed.
package enum TLSTrust: Hashable, Sendable {
    /// The machine's certificate authorities; the host name must match.
    case systemStore
    /// Only these authorities (or very certificates) in PEM; the host name must match.
    case authorities(pem: String)
    /// Only this very certificate, by the SHA-256 of its DER form (32 bytes); name and dates do not matter.
    case pinned(sha256: [UInt8])
    /// Anybody: no protection against an active attacker. Only for probes whose answer is not trusted.
    case unverified
}

/// The settings that many TLS connections share; the only owner of its `SSL_CTX`.
package final class TLSContext: Sendable {
    let library: TLSLibrary
    let trust: TLSTrust
    // OpenSSL counts the references and locks the store; nothing is changed after `init`.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Errors: `tls-library-missing`, `invalid-input` (no certificate in the PEM text, a pin of the wrong size).
    package init(trust: TLSTrust) throws {
        library = try TLSLibrary.get()
        self.trust = trust
        library.clearErrors()
        guard let context = library.contextNew(library.tlsClientMethod()) else {
            throw BasculeError(.tlsFailed, "Could not set up TLS", cause: library.takeErrors())
        }
        pointer = context
        _ = library.contextControl(context, TLSConstant.setMinimumVersion, TLSConstant.version12, nil)
        _ = library.contextSetOptions(context, TLSConstant.noRenegotiation)
        switch trust {
        case .systemStore:
            guard library.contextDefaultPaths(context) == 1 else {
                throw BasculeError(
                    .tlsFailed, "Could not load the machine's certificate authorities", cause: library.takeErrors(),
                    hint: "Install the package ca-certificates.")
            }
        case .authorities(let pem): try addAuthorities(pem)
        case .pinned(let digest):
            guard digest.count == 32 else {
                throw BasculeError(.invalidInput, "A certificate's pin is a SHA-256: 32 bytes, not \(digest.count)")
            }
        case .unverified: break
        }
    }

    deinit { library.contextFree(pointer) }

    private func addAuthorities(_ pem: String) throws {
        let bytes = Array(pem.utf8)
        let store = library.contextStore(pointer)
        var count = 0
        bytes.withUnsafeBytes { raw in
            let source = library.streamOver(raw.baseAddress, CInt(clamping: raw.count))
            defer { _ = library.streamFree(source) }
            while let certificate = library.readPEM(source, nil, nil, nil) {
                if library.storeAdd(store, certificate) == 1 { count += 1 }
                library.certificateFree(certificate)
            }
        }
        // The loop ends with "no start line" in the queue, which is not an error of ours.
        library.clearErrors()
        guard count > 0 else {
            throw BasculeError(
                .invalidInput, "There is no certificate in the given PEM text",
                hint: "It must hold at least one -----BEGIN CERTIFICATE----- block.")
        }
        _ = library.storeSetFlags(store, TLSConstant.partialChain)
    }
}

/// Numbers from OpenSSL 3's headers (`ssl.h`, `tls1.h`, `x509_vfy.h`, `x509v3.h`): part of its stable ABI.
enum TLSConstant {
    static let setMinimumVersion: CInt = 123
    static let version12: CLong = 0x0303
    static let noRenegotiation: UInt64 = 1 << 30
    static let partialChain: CUnsignedLong = 0x80000
    static let setServerName: CInt = 55
    static let noPartialWildcards: CUnsignedInt = 0x4
    static let verifyNone: CInt = 0
    static let verifyPeer: CInt = 1
    static let errorWantRead: CInt = 2
    static let errorZeroReturn: CInt = 6
    static let verified: CLong = 0
}
