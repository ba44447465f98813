import BasculeModel
import Glibc

extension ErrorCode {
    /// A connection could not be made: refused, no route, no such socket.
    package static let connectFailed: ErrorCode = "connect-failed"
    /// The peer closed or reset the connection before the exchange was complete.
    package static let connectionClosed: ErrorCode = "connection-closed"
    /// A host name has no address.
    package static let nameNotResolved: ErrorCode = "name-not-resolved"
    /// The peer sent more than the caller was ready to hold.
    package static let tooMuchData: ErrorCode = "too-much-data"
    /// libssl is not installed.
    package static let tlsLibraryMissing: ErrorCode = "tls-library-missing"
    /// The certificate does not prove that the peer is who it should be.
    package static let tlsVerificationFailed: ErrorCode = "tls-verification-failed"
    /// The TLS handshake or a TLS record failed for any other reason.
    package static let tlsFailed: ErrorCode = "tls-failed"
}

/// The text of a C error number.
func errorText(_ number: Int32) -> String {
    // Safe from several threads: glibc keeps this buffer per thread.
    guard let text = strerror(number) else { return "error \(number)" }
    return String(cString: text)
}

/// A failed read or write on a socket, told apart by what the caller can do about it.
func socketError(_ number: Int32, _ action: String, at peer: String) -> BasculeError {
    let gone = [EPIPE, ECONNRESET, ENOTCONN, ECONNABORTED].contains(number)
    return BasculeError(
        gone ? .connectionClosed : .inputOutput, "Could not \(action)", at: .thing(peer), cause: errorText(number))
}
