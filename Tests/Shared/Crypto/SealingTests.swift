import BasculeCrypto
import BasculeModel
import Testing

private func code(_ body: () throws -> some Any) -> ErrorCode? {
    do {
        _ = try body()
        return nil
    } catch { return (error as? BasculeError)?.code }
}

@Suite struct SealingTests {
    private let message = Array("postgres://shop:s3cret@db/shop".utf8)

    @Test func whatIsSealedToANodeOpensThereAndNowhereElse() throws {
        let (node, other) = (try SealingKeyPair(), try SealingKeyPair())
        let sealed = try SealingKeyPair.seal(message, to: node.publicKey)
        #expect(try node.open(sealed) == message)
        #expect(code { try other.open(sealed) } == .cannotDecrypt)
        #expect(try SealingKeyPair.seal(message, to: node.publicKey) != sealed)
        let saved = SealingKeyPair(publicKey: node.publicKey, secretKey: node.secretKey)
        #expect(try saved.open(sealed) == message)
        #expect(try node.open(SealingKeyPair.seal([], to: node.publicKey)) == [])
    }

    @Test func everyChangedByteAndEveryCutIsNoticed() throws {
        let node = try SealingKeyPair()
        let sealed = try SealingKeyPair.seal(message, to: node.publicKey)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x01
            #expect(code { try node.open(changed) } == .cannotDecrypt, "byte \(index)")
            #expect(code { try node.open(Array(sealed[..<index])) } == .cannotDecrypt, "cut at \(index)")
        }
    }

    @Test func aKeyOfTheWrongLengthIsRefused() {
        #expect(code { try SealingKeyPair.seal(message, to: [1, 2, 3]) } == .invalidInput)
        #expect(code { try SecretBox(key: []) } == .invalidInput)
    }

    @Test func aBoxOpensWithItsKeyOnly() throws {
        let box = try SecretBox(key: Array(repeating: 7, count: 32))
        let sealed = box.seal(message)
        #expect(try box.open(sealed) == message)
        #expect(box.seal(message) != sealed)
        #expect(try box.open(box.seal([])) == [])
        let other = try SecretBox(key: Array(repeating: 8, count: 32))
        #expect(code { try other.open(sealed) } == .cannotDecrypt)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x80
            #expect(code { try box.open(changed) } == .cannotDecrypt, "byte \(index)")
            #expect(code { try box.open(Array(sealed[..<index])) } == .cannotDecrypt, "cut at \(index)")
        }
    }

    @Test func signaturesHoldForTheirMessageAndKeyOnly() throws {
        let (pair, other) = (try SigningKeyPair(), try SigningKeyPair())
        let signature = pair.sign(message)
        #expect(signature.count == 64)
        #expect(SigningKeyPair.verify(signature, of: message, by: pair.publicKey))
        #expect(!SigningKeyPair.verify(signature, of: message + [0], by: pair.publicKey))
        #expect(!SigningKeyPair.verify(signature, of: message, by: other.publicKey))
        #expect(!SigningKeyPair.verify(Array(signature.dropLast()), of: message, by: pair.publicKey))
        #expect(!SigningKeyPair.verify(signature, of: message, by: []))
        for index in signature.indices {
            var changed = signature
            changed[index] ^= 0x04
            #expect(!SigningKeyPair.verify(changed, of: message, by: pair.publicKey), "byte \(index)")
        }
    }

    /// RFC 8032, test 2: one byte, a known key.
    @Test func aKnownSignature() throws {
        let seed = try #require(Hex.decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
        let publicKey = try #require(Hex.decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
        let pair = SigningKeyPair(publicKey: publicKey, secretKey: seed + publicKey)
        let expected =
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        #expect(Hex.encode(pair.sign([0x72])) == expected)
    }
}

@Suite struct SecretTests {
    @Test func aSecretNeverPrintsItself() {
        let secret = Secret("s3cret")
        struct Holder { var password: Secret }
        for text in [
            "\(secret)", String(describing: secret), String(reflecting: secret), "\(Holder(password: secret))",
            "\([secret])",
        ] {
            #expect(!text.contains("s3cret"), "\(text)")
        }
        var dumped = ""
        dump(Holder(password: secret), to: &dumped)
        #expect(!dumped.contains("s3cret"))
        #expect(secret.reveal() == "s3cret")
    }
}
