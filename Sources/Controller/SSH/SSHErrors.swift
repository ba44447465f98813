import BasculeModel

extension ErrorCode {
    /// The host name does not resolve.
    package static let sshUnknownHost: ErrorCode = "ssh-unknown-host"
    /// No route, network down, or the host says that it cannot be reached.
    package static let sshUnreachable: ErrorCode = "ssh-unreachable"
    /// The host is there, and nothing listens on the port.
    package static let sshRefused: ErrorCode = "ssh-refused"
    /// A deadline passed; the message says in which phase.
    package static let sshTimedOut: ErrorCode = "ssh-timed-out"
    /// Something answers, but not with an SSH-2 banner.
    package static let sshBanner: ErrorCode = "ssh-banner"
    /// The server closes connections before its banner again and again (`MaxStartups`, a ban).
    package static let sshDropped: ErrorCode = "ssh-dropped"
    /// The peer broke the protocol before the login.
    package static let sshProtocol: ErrorCode = "ssh-protocol"
    /// The host presents another key, or another type of key, than the pinned one.
    package static let sshHostKeyChanged: ErrorCode = "ssh-host-key-changed"
    /// The host's key is not pinned, and nobody accepted it.
    package static let sshHostKeyUnknown: ErrorCode = "ssh-host-key-unknown"
    /// The host presents a key that was revoked.
    package static let sshHostKeyRevoked: ErrorCode = "ssh-host-key-revoked"
    /// The server accepts none of the identities.
    package static let sshAuthFailed: ErrorCode = "ssh-auth-failed"
    /// An RSA user key, or a host with RSA keys only.
    package static let sshRSAUnsupported: ErrorCode = "ssh-rsa-unsupported"
    /// A FIDO, DSA or otherwise unusable type of user key.
    package static let sshKeyUnsupported: ErrorCode = "ssh-key-unsupported"
    /// No algorithm in common with the server.
    package static let sshNoCommonAlgorithm: ErrorCode = "ssh-no-common-algorithm"
    /// A private key file is absent, unreadable or not a private key.
    package static let sshKeyUnreadable: ErrorCode = "ssh-key-unreadable"
    /// The key is encrypted and no passphrase, or no right one, was given.
    package static let sshPassphraseNeeded: ErrorCode = "ssh-passphrase-needed"
    /// The ssh-agent cannot be reached or refuses to sign.
    package static let sshAgentFailed: ErrorCode = "ssh-agent-failed"
    /// The connection broke, or was closed; what ran is in an unknown state.
    package static let sshDisconnected: ErrorCode = "ssh-disconnected"
    /// The server refuses another channel.
    package static let sshChannelRefused: ErrorCode = "ssh-channel-refused"
    /// The server refuses to run the command.
    package static let sshExecRefused: ErrorCode = "ssh-exec-refused"
}

/// The errors of this module, each with its hint, in one place.
enum SSHFailure {
    static func late(_ waitedFor: String) -> BasculeError {
        BasculeError(
            .sshTimedOut, "the deadline passed while waiting for \(waitedFor)",
            hint: "check the address, the port and any firewall on the way, then run again")
    }

    static func disconnected(_ cause: String?) -> BasculeError {
        BasculeError(
            .sshDisconnected, "the SSH connection broke", cause: cause,
            hint: "what was running is in an unknown state; run again to ask the node")
    }

    static func cancelled() -> BasculeError { BasculeError(.cancelled, "the SSH request was cancelled") }

    static func banner(_ message: String, said: String?) -> BasculeError {
        BasculeError(
            .sshBanner, message, cause: said.map { "it said: \($0)" },
            hint: "check that the port is the one of an SSH server")
    }

    static func dropped(attempts: Int, cause: String?) -> BasculeError {
        BasculeError(
            .sshDropped, "the server closed the connection before the login, \(attempts) times in a row", cause: cause,
            hint: "the server may limit logins (MaxStartups) or ban this address (fail2ban); wait, or raise the limit")
    }

    static func hostKey(_ decision: HostKeyDecision, presented: HostKey) -> BasculeError? {
        switch decision {
        case .trusted: nil
        case .unknown:
            BasculeError(
                .sshHostKeyUnknown, "the host's key \(presented) is not known",
                hint: "compare the fingerprint with the one on the host's console "
                    + "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then accept it")
        case .changed(let expected):
            BasculeError(
                .sshHostKeyChanged,
                "the host presents the key \(presented), but \(HostKeyDecision.list(expected)) is pinned",
                hint: "somebody may be in the middle, or the host was reinstalled: verify it on its console, "
                    + "then forget the old key")
        case .changedType(let expected):
            BasculeError(
                .sshHostKeyChanged,
                "the host presents a key of another type, \(presented), "
                    + "but \(HostKeyDecision.list(expected)) is pinned",
                hint: "somebody may be in the middle, or the host's keys were replaced: verify it on its console, "
                    + "then forget the old key")
        case .revoked:
            BasculeError(
                .sshHostKeyRevoked, "the host presents the revoked key \(presented)",
                hint: "whoever answers may hold a stolen key; do not log in, replace the host's keys")
        }
    }

    /// Text of a stranger, made harmless: printable ASCII, at most 200 characters.
    static func harmless(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes.prefix(200) {
            text.unicodeScalars.append(byte >= 0x20 && byte < 0x7F ? Unicode.Scalar(byte) : "?")
        }
        return text
    }
}
