import BasculeModel
import Foundation

/// What can be told about a private key's text without its passphrase.
struct PrivateKey {
    let name: String
    let text: Secret
    /// The public half, where the format shows it.
    let publicBlob: [UInt8]?
    let type: String?
    let encrypted: Bool

    /// The line that libssh2 wants, so that it need not decrypt the private half twice.
    var publicLine: String? {
        guard let publicBlob, let type else { return nil }
        return "\(type) \(Data(publicBlob).base64EncodedString())"
    }

    /// Reads a file. Throws `ssh-key-unreadable`, or what `init(name:text:)` throws.
    init(path: String) throws(BasculeError) {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw BasculeError(
                .sshKeyUnreadable, "the private key cannot be read", at: .thing(path),
                cause: error.localizedDescription,
                hint: "check the path and its permissions")
        }
        try self.init(name: path, text: Secret(bytes: Array(data)))
    }

    /// Throws `ssh-key-unreadable`, `ssh-rsa-unsupported` or `ssh-key-unsupported`.
    init(name: String, text: Secret) throws(BasculeError) {
        self.name = name
        let source = text.reveal()
        func holds(_ title: String) -> Bool { source.contains("-----BEGIN \(title)-----") }
        var (type, blob, encrypted): (String?, [UInt8]?, Bool) = (nil, nil, source.contains("Proc-Type: 4,ENCRYPTED"))
        if holds("OPENSSH PRIVATE KEY") {
            guard let shape = PrivateKey.openSSH(PrivateKey.body(source)) else {
                throw PrivateKey.unreadable(name, "it is damaged", "take it from a backup, or make a new one")
            }
            (type, blob, encrypted) = (shape.type, shape.blob, shape.encrypted)
        } else if holds("RSA PRIVATE KEY") {
            type = "ssh-rsa"
        } else if holds("DSA PRIVATE KEY") {
            type = "ssh-dss"
        } else if holds("PRIVATE KEY") {
            // PKCS#8 hides the type; RSA's object identifier gives it away.
            let rsa: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]
            if Data(PrivateKey.body(source)).range(of: Data(rsa)) != nil { type = "ssh-rsa" }
        } else if holds("ENCRYPTED PRIVATE KEY") {
            encrypted = true
        } else if !holds("EC PRIVATE KEY") {
            let hint =
                source.hasPrefix("PuTTY-User-Key-File")
                ? "convert it: puttygen KEY.ppk -O private-openssh -o KEY"
                : source.hasPrefix("ssh-") || source.hasPrefix("ecdsa-")
                    ? "this is a public key; name the private half, the file without .pub" : "name a private key file"
            throw PrivateKey.unreadable(name, "it is not a private key that Bascule knows", hint)
        }
        if let type { try PrivateKey.check(type, name) }
        self.text = text
        (self.type, publicBlob, self.encrypted) = (type, blob, encrypted)
    }

    /// Whether libssh2 1.10 can sign with keys of this type.
    static func isUsable(_ type: String) -> Bool { Algorithms.hostKeys.contains(type) }

    static func check(_ type: String, _ name: String) throws(BasculeError) {
        if isUsable(type) { return }
        let hint = "use an Ed25519 key (ssh-keygen -t ed25519) and add its public half to authorized_keys"
        if type.contains("rsa") {
            throw BasculeError(
                .sshRSAUnsupported,
                "RSA user keys do not work: libssh2 1.10 signs them with SHA-1 only, which current "
                    + "servers refuse", at: .thing(name), hint: hint)
        }
        let kind = type.hasPrefix("sk-") ? "FIDO security keys" : "keys of type \(SSHFailure.harmless(type.utf8))"
        throw BasculeError(
            .sshKeyUnsupported, "\(kind) do not work with libssh2 1.10", at: .thing(name), hint: hint)
    }

    static func unreadable(_ name: String, _ cause: String, _ hint: String) -> BasculeError {
        BasculeError(.sshKeyUnreadable, "the private key cannot be used", at: .thing(name), cause: cause, hint: hint)
    }

    private static func body(_ source: String) -> [UInt8] {
        let lines = source.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") && !$0.contains(":") }
        return Array(Data(base64Encoded: lines.joined()) ?? Data())
    }

    private static func openSSH(_ bytes: [UInt8]) -> (type: String, blob: [UInt8], encrypted: Bool)? {
        let magic = Array("openssh-key-v1\0".utf8)
        guard bytes.starts(with: magic) else { return nil }
        var reader = WireReader(Array(bytes.dropFirst(magic.count)))
        guard let cipher = reader.text(), reader.string() != nil, reader.string() != nil, reader.number() == 1,
            let blob = reader.string()
        else { return nil }
        var key = WireReader(blob)
        guard let type = key.text() else { return nil }
        return (type, blob, cipher != "none")
    }
}
