import BasculeModel

/// What Bascule offers, and nothing else: libssh2's own list has 3des, arcfour, MD5 and SHA-1 in it.
enum Algorithms {
    static let keyExchanges = ["curve25519-sha256", "curve25519-sha256@libssh.org"]
    static let ciphers = ["aes256-ctr", "aes128-ctr"]
    static let macs = ["hmac-sha2-512", "hmac-sha2-256"]
    static let hostKeys = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]

    /// Pinned types first: the server then presents the pinned key if it has it. A server that has not presents what
    /// it has, so that the refusal can name both fingerprints; it is refused all the same.
    static func hostKeys(preferring pinned: [String]) -> [String] {
        hostKeys.filter(pinned.contains) + hostKeys.filter { !pinned.contains($0) }
    }

    /// Why the key exchange found nothing in common.
    static func mismatch(_ offer: KexOffer?) -> BasculeError {
        guard let offer else { return BasculeError(.sshNoCommonAlgorithm, "the server offers no algorithm in common") }
        func misses(_ theirs: [String], _ ours: [String]) -> Bool { !theirs.contains(where: ours.contains) }
        func error(_ what: String, _ theirs: [String], _ hint: String) -> BasculeError {
            let names = SSHFailure.harmless(Array(theirs.joined(separator: ", ").utf8))
            return BasculeError(
                .sshNoCommonAlgorithm, "no \(what) in common with the server", cause: "it offers: \(names)", hint: hint)
        }
        if misses(offer.hostKeys, hostKeys) {
            if offer.hostKeys.contains(where: { $0.contains("rsa") }) {
                return BasculeError(
                    .sshRSAUnsupported, "the server has RSA host keys only, which libssh2 1.10 cannot verify",
                    hint: "give the server an Ed25519 host key: ssh-keygen -t ed25519 -f /etc/ssh/ssh_host_ed25519_key")
            }
            return error("host key type", offer.hostKeys, "give the server an Ed25519 host key")
        }
        if misses(offer.macs, macs) {
            let etm = offer.macs.contains { $0.hasSuffix("-etm@openssh.com") }
            return error(
                "MAC", offer.macs,
                (etm ? "the server allows encrypt-then-MAC only; " : "")
                    + "add hmac-sha2-512,hmac-sha2-256 to MACs in its sshd_config")
        }
        if misses(offer.keyExchanges, keyExchanges) {
            return error(
                "key exchange", offer.keyExchanges, "add curve25519-sha256 to KexAlgorithms in its sshd_config")
        }
        if misses(offer.ciphers, ciphers) {
            return error("cipher", offer.ciphers, "add aes256-ctr,aes128-ctr to Ciphers in its sshd_config")
        }
        return BasculeError(.sshProtocol, "the key exchange failed")
    }
}
