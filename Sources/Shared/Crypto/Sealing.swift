import BasculeModel
import CSodium

extension ErrorCode {
    /// Encrypted bytes could not be opened: wrong key, or changed.
    package static let cannotDecrypt: ErrorCode = "cannot-decrypt"
}

/// A node's key pair (X25519) to which the controller seals secrets, so that only this node opens them.
package struct SealingKeyPair: Sendable {
    /// 32 bytes, may be shown to anybody.
    package let publicKey: [UInt8]
    /// 32 bytes, never leaves the node.
    package let secretKey: [UInt8]

    /// A new random pair.
    package init() throws {
        try Sodium.require()
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_box_PUBLICKEYBYTES))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_box_SECRETKEYBYTES))
        crypto_box_keypair(&publicKey, &secretKey)
        (self.publicKey, self.secretKey) = (publicKey, secretKey)
    }

    /// A pair that was saved before.
    package init(publicKey: [UInt8], secretKey: [UInt8]) {
        (self.publicKey, self.secretKey) = (publicKey, secretKey)
    }

    /// Encrypts `message` so that only the holder of `publicKey`'s other half can read it (crypto_box_seal).
    package static func seal(_ message: [UInt8], to publicKey: [UInt8]) throws -> [UInt8] {
        try Sodium.require()
        guard publicKey.count == Int(crypto_box_PUBLICKEYBYTES) else {
            throw BasculeError(
                .invalidInput, "a sealing key has \(crypto_box_PUBLICKEYBYTES) bytes, not \(publicKey.count)")
        }
        var out = [UInt8](repeating: 0, count: message.count + crypto_box_sealbytes())
        crypto_box_seal(&out, message, UInt64(message.count), publicKey)
        return out
    }

    /// Opens what was sealed to this pair. Throws `cannot-decrypt`.
    package func open(_ sealed: [UInt8]) throws -> [UInt8] {
        try Sodium.require()
        guard sealed.count >= crypto_box_sealbytes() else {
            throw BasculeError(.cannotDecrypt, "a sealed value is too short")
        }
        var out = [UInt8](repeating: 0, count: sealed.count - crypto_box_sealbytes())
        guard crypto_box_seal_open(&out, sealed, UInt64(sealed.count), publicKey, secretKey) == 0 else {
            throw BasculeError(.cannotDecrypt, "a sealed value does not open with this node's key")
        }
        return out
    }
}

/// Symmetric authenticated encryption (XSalsa20-Poly1305) under a 32-byte key; the nonce stands before the text.
package struct SecretBox: Sendable {
    private let key: [UInt8]

    /// A box under `key`, which has 32 bytes.
    package init(key: [UInt8]) throws {
        try Sodium.require()
        guard key.count == Int(crypto_secretbox_KEYBYTES) else {
            throw BasculeError(
                .invalidInput, "an encryption key has \(crypto_secretbox_KEYBYTES) bytes, not \(key.count)")
        }
        self.key = key
    }

    /// Nonce and cipher text.
    package func seal(_ message: [UInt8]) -> [UInt8] {
        let nonce = RandomBytes.make(Int(crypto_secretbox_NONCEBYTES))
        var out = [UInt8](repeating: 0, count: message.count + Int(crypto_secretbox_MACBYTES))
        crypto_secretbox_easy(&out, message, UInt64(message.count), nonce, key)
        return nonce + out
    }

    /// The message. Throws `cannot-decrypt` where key or bytes are wrong.
    package func open(_ sealed: [UInt8]) throws -> [UInt8] {
        let nonceSize = Int(crypto_secretbox_NONCEBYTES)
        let overhead = nonceSize + Int(crypto_secretbox_MACBYTES)
        guard sealed.count >= overhead else { throw BasculeError(.cannotDecrypt, "an encrypted value is too short") }
        let cipher = Array(sealed[nonceSize...])
        var out = [UInt8](repeating: 0, count: sealed.count - overhead)
        guard crypto_secretbox_open_easy(&out, cipher, UInt64(cipher.count), Array(sealed[..<nonceSize]), key) == 0
        else {
            throw BasculeError(
                .cannotDecrypt, "an encrypted value does not open with this key",
                hint: "is this the store's own key file?")
        }
        return out
    }
}

/// An Ed25519 signing key of the controller.
package struct SigningKeyPair: Sendable {
    /// 32 bytes, pinned by the agents at bootstrap.
    package let publicKey: [UInt8]
    /// 64 bytes, never leaves the controller.
    package let secretKey: [UInt8]

    /// A new random pair.
    package init() throws {
        try Sodium.require()
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_sign_SECRETKEYBYTES))
        crypto_sign_keypair(&publicKey, &secretKey)
        (self.publicKey, self.secretKey) = (publicKey, secretKey)
    }

    /// A pair that was saved before.
    package init(publicKey: [UInt8], secretKey: [UInt8]) {
        (self.publicKey, self.secretKey) = (publicKey, secretKey)
    }

    /// The 64 bytes of the detached signature.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: Int(crypto_sign_BYTES))
        crypto_sign_detached(&out, nil, message, UInt64(message.count), secretKey)
        return out
    }

    /// Whether `signature` was made over `message` by the holder of `publicKey`'s other half.
    package static func verify(_ signature: [UInt8], of message: [UInt8], by publicKey: [UInt8]) -> Bool {
        guard Sodium.isReady, signature.count == Int(crypto_sign_BYTES),
            publicKey.count == Int(crypto_sign_PUBLICKEYBYTES)
        else { return false }
        return crypto_sign_verify_detached(signature, message, UInt64(message.count), publicKey) == 0
    }
}
