import BasculeCrypto
import BasculeModel
import Foundation

/// An Ed25519 key as OpenSSH writes it (PROTOCOL.key), without a passphrase: it never leaves the vault but sealed.
struct SSHKeyText {
    let privateKey: Secret
    /// `ssh-ed25519 BASE64 COMMENT`
    let publicLine: String

    init(_ keys: SigningKeyPair, comment: String) {
        let type = Self.string(Array("ssh-ed25519".utf8))
        let blob = type + Self.string(keys.publicKey)
        publicLine = "ssh-ed25519 \(Data(blob).base64EncodedString()) \(comment)"
        // Twice the same number, by which a reader knows that it has decrypted: nothing is encrypted here.
        let check: [UInt8] = [0x62, 0x61, 0x73, 0x63]
        var own =
            check + check + type + Self.string(keys.publicKey) + Self.string(keys.secretKey)
            + Self.string(Array(comment.utf8))
        own += (1...8).prefix((8 - own.count % 8) % 8).map { UInt8($0) }
        let none = Self.string(Array("none".utf8))
        let all =
            Array("openssh-key-v1\0".utf8) + none + none + Self.string([]) + [0, 0, 0, 1] + Self.string(blob)
            + Self.string(own)
        let text = Data(all).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        privateKey = Secret("-----BEGIN OPENSSH PRIVATE KEY-----\n\(text)\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }
}
