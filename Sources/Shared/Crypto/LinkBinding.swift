import BasculeModel
import CSodium

/// Binds the answers on one connection to its greeting: the controller's key of this connection and the node's own
/// (X25519) give a key that nobody else has, and every answer carries a tag under it with its place in the order.
///
/// SSH already keeps strangers out. This refuses a node that answers in another's name, an answer that was recorded on
/// an earlier connection, and one that was left out or sent twice.
package struct LinkBinding: Sendable {
    /// Bytes of a tag, at the end of an answer.
    package static let tagSize = 16
    private let key: [UInt8]
    private var number: UInt64 = 0

    /// - Parameters:
    ///   - own: the controller's pair of this connection, or the node's.
    ///   - peer: the other side's public key, 32 bytes.
    ///   - transcript: what both sides saw of the greeting.
    package init(own: SealingKeyPair, peer: [UInt8], transcript: [UInt8]) throws {
        try Sodium.require()
        var shared = [UInt8](repeating: 0, count: Int(crypto_scalarmult_BYTES))
        guard peer.count == Int(crypto_scalarmult_BYTES), own.secretKey.count == Int(crypto_scalarmult_SCALARBYTES),
            crypto_scalarmult(&shared, own.secretKey, peer) == 0
        else { throw BasculeError(.invalidInput, "the greeting's key is not usable") }
        // The same order on both sides, whichever asks.
        let ordered = own.publicKey.lexicographicallyPrecedes(peer) ? own.publicKey + peer : peer + own.publicKey
        key = HMAC.sha256(key: shared, Array("bascule link 1\n".utf8) + ordered + transcript)
    }

    /// Hexadecimal: shows who holds the node's key.
    package var proof: String { Hex.encode(HMAC.sha256(key: key, Array("welcome".utf8))) }

    /// Whether a proof is the one of this binding.
    package func accepts(proof given: String) -> Bool {
        guard let bytes = Hex.decode(given), bytes.count == 32 else { return false }
        return sodium_memcmp(bytes, HMAC.sha256(key: key, Array("welcome".utf8)), 32) == 0
    }

    /// The tag of the next answer: `head` is its kind and id, `body` its bytes.
    package mutating func nextTag(head: [UInt8], body: ArraySlice<UInt8>) -> [UInt8] {
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key, key.count)
        var place = (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) } + head
        crypto_auth_hmacsha256_update(&state, &place, UInt64(place.count))
        _ = body.withUnsafeBufferPointer { crypto_auth_hmacsha256_update(&state, $0.baseAddress, UInt64($0.count)) }
        var out = [UInt8](repeating: 0, count: 32)
        crypto_auth_hmacsha256_final(&state, &out)
        number += 1
        return Array(out[..<LinkBinding.tagSize])
    }

    /// The body without its tag; nil where the tag is not the next answer's.
    package mutating func open(head: [UInt8], body: [UInt8]) -> [UInt8]? {
        guard body.count >= LinkBinding.tagSize else { return nil }
        let content = body.dropLast(LinkBinding.tagSize)
        let given = Array(body.suffix(LinkBinding.tagSize))
        let expected = nextTag(head: head, body: content)
        return sodium_memcmp(given, expected, LinkBinding.tagSize) == 0 ? Array(content) : nil
    }
}
