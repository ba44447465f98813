import BasculeModel
import CSodium

/// Symmetric authenticated encryption of content that need not fit into memory (XChaCha20-Poly1305, libsodium's
/// secretstream): pieces that are changed, left out, reordered or cut off at the end do not open.
package enum SecretStream {
    /// Bytes of plain text in every piece but the last.
    package static let piece = 1 << 20
    /// Bytes of a key.
    package static let keySize = Int(crypto_secretstream_xchacha20poly1305_KEYBYTES)
    private static let overhead = Int(crypto_secretstream_xchacha20poly1305_ABYTES)
    private static let headSize = Int(crypto_secretstream_xchacha20poly1305_HEADERBYTES)

    /// Encrypts what `read` gives, piece by piece.
    /// - Parameters:
    ///   - read: at most that many bytes; fewer only at the end, none after it.
    ///   - write: takes the encrypted bytes in order.
    package static func seal(
        key: [UInt8], read: (Int) throws -> [UInt8], write: ([UInt8]) throws -> Void
    ) throws {
        try check(key)
        var state = crypto_secretstream_xchacha20poly1305_state()
        var head = [UInt8](repeating: 0, count: headSize)
        crypto_secretstream_xchacha20poly1305_init_push(&state, &head, key)
        try write(head)
        while true {
            let plain = try read(piece)
            let isLast = plain.count < piece
            var out = [UInt8](repeating: 0, count: plain.count + overhead)
            crypto_secretstream_xchacha20poly1305_push(
                &state, &out, nil, plain, UInt64(plain.count), nil, 0,
                isLast ? UInt8(crypto_secretstream_xchacha20poly1305_TAG_FINAL) : 0)
            try write(out)
            if isLast { return }
        }
    }

    /// Opens what `seal` wrote. Throws `cannot-decrypt` where key or bytes are wrong; what was written until then is to
    /// be thrown away.
    package static func open(
        key: [UInt8], read: (Int) throws -> [UInt8], write: ([UInt8]) throws -> Void
    ) throws {
        try check(key)
        let head = try read(headSize)
        var state = crypto_secretstream_xchacha20poly1305_state()
        guard head.count == headSize, crypto_secretstream_xchacha20poly1305_init_pull(&state, head, key) == 0 else {
            throw failure
        }
        while true {
            let cipher = try read(piece + overhead)
            guard cipher.count >= overhead else { throw failure }
            var plain = [UInt8](repeating: 0, count: cipher.count - overhead)
            var tag: UInt8 = 0
            guard
                crypto_secretstream_xchacha20poly1305_pull(
                    &state, &plain, nil, &tag, cipher, UInt64(cipher.count), nil, 0) == 0
            else { throw failure }
            try write(plain)
            if tag == UInt8(crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
                guard try read(1).isEmpty else { throw failure }
                return
            }
        }
    }

    private static func check(_ key: [UInt8]) throws {
        try Sodium.require()
        guard key.count == keySize else {
            throw BasculeError(.invalidInput, "an encryption key has \(keySize) bytes, not \(key.count)")
        }
    }

    private static var failure: BasculeError {
        BasculeError(
            .cannotDecrypt, "the encrypted content does not open with this key, or was changed",
            hint: "is this the recovery key of this fleet?")
    }
}
