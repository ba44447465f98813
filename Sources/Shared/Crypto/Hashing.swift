import BasculeModel
import CSodium

/// SHA-256, in one call or as a stream.
package struct SHA256: ~Copyable {
    private var state = crypto_hash_sha256_state()

    package init() {
        _ = Sodium.isReady
        crypto_hash_sha256_init(&state)
    }

    /// Adds bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        crypto_hash_sha256_update(&state, bytes.bindMemory(to: UInt8.self).baseAddress, UInt64(bytes.count))
    }

    /// Adds bytes.
    package mutating func update(_ bytes: [UInt8]) {
        crypto_hash_sha256_update(&state, bytes, UInt64(bytes.count))
    }

    /// The 32 bytes of the hash. Nothing may be added afterwards.
    package mutating func finalize() -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        crypto_hash_sha256_final(&state, &out)
        return out
    }

    /// The 32 bytes of the hash of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        _ = Sodium.isReady
        var out = [UInt8](repeating: 0, count: 32)
        crypto_hash_sha256(&out, bytes, UInt64(bytes.count))
        return out
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key of any length.
package enum HMAC {
    /// The 32 bytes of the code.
    package static func sha256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        _ = Sodium.isReady
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key, key.count)
        crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
        var out = [UInt8](repeating: 0, count: 32)
        crypto_auth_hmacsha256_final(&state, &out)
        return out
    }
}

extension Digest {
    /// The SHA-256 of the bytes.
    package init(of bytes: [UInt8]) { self.init(rawValue: Hex.encode(SHA256.hash(bytes))) }
    /// The SHA-256 of the text's UTF-8.
    package init(of text: String) { self.init(of: Array(text.utf8)) }
    /// The HMAC-SHA-256 of the bytes under a node's key: no oracle for who does not hold the key.
    package init(of bytes: [UInt8], key: [UInt8]) { self.init(rawValue: Hex.encode(HMAC.sha256(key: key, bytes))) }
}
