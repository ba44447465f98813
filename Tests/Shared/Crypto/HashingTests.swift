import BasculeCrypto
import BasculeModel
import Testing

/// Known answers: FIPS 180-4's examples, RFC 4231.
@Suite struct HashingTests {
    static let hashes: [(String, String)] = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ]

    @Test(arguments: hashes) func knownHashes(text: String, expected: String) {
        #expect(Hex.encode(SHA256.hash(Array(text.utf8))) == expected)
        #expect(Digest(of: text).rawValue == expected)
    }

    @Test func aMillionTimesA() {
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(Digest(of: Array(repeating: 0x61, count: 1_000_000)).rawValue == expected)
        var stream = SHA256()
        var left = 1_000_000
        for size in (1...).lazy {
            let piece = min(left, size)
            stream.update(Array(repeating: 0x61, count: piece))
            left -= piece
            if left == 0 { break }
        }
        #expect(Hex.encode(stream.finalize()) == expected)
    }

    static let codes: [(key: [UInt8], message: [UInt8], code: String)] = [
        (
            Array(repeating: 0x0B, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            Array(repeating: 0xAA, count: 20), Array(repeating: 0xDD, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            Array(repeating: 0xAA, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ]

    @Test(arguments: codes.indices) func knownCodes(index: Int) {
        let (key, message, code) = Self.codes[index]
        #expect(Hex.encode(HMAC.sha256(key: key, message)) == code)
        #expect(Digest(of: message, key: key).rawValue == code)
    }

    @Test func hexadecimalBothWays() {
        #expect(Hex.encode([0, 1, 0x7F, 0x80, 0xFF]) == "00017f80ff")
        #expect(Hex.decode("00017F80ff") == [0, 1, 0x7F, 0x80, 0xFF])
        #expect(Hex.decode("") == [])
        for wrong in ["0", "0g", "g0", "00 ", "é0", "0x00", "/0", ":0", "@0", "`0"] {
            #expect(Hex.decode(wrong) == nil, "\(wrong)")
        }
        for byte in UInt8.min...UInt8.max { #expect(Hex.decode(Hex.encode([byte])) == [byte]) }
    }

    @Test func randomTextsHaveTheirLengthAndAlphabetAndDiffer() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        let passwords = (0..<200).map { _ in RandomBytes.password() }
        #expect(passwords.allSatisfy { $0.count == 32 && $0.allSatisfy(allowed.contains) })
        #expect(Set(passwords).count == 200)
        #expect(Set(passwords.joined()).count == 62)
        #expect(RandomBytes.password(0) == "")
        let names = (0..<200).map { _ in RandomBytes.identifier() }
        #expect(names.allSatisfy { Hex.decode($0)?.count == 8 })
        #expect(Set(names).count == 200)
    }
}
