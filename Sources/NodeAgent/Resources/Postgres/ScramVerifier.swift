import BasculeCrypto
import BasculeModel
import FoundationEssentials
import Synchronization

/// SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, RFC 7677): made and checked here, so that no password
/// ever stands in a statement.
enum ScramVerifier {
    /// PostgreSQL's own default (`scram_iterations`).
    private static let rounds = 4096
    private static let checked = Mutex<[String: Bool]>([:])

    /// A new verifier with a random salt.
    static func make(_ password: Secret, salt: [UInt8] = RandomBytes.make(16)) -> String {
        let salted = pbkdf2(password.revealBytes(), salt, rounds)
        let (stored, server) = keys(salted)
        return "SCRAM-SHA-256$\(rounds):\(base64(salt))$\(base64(stored)):\(base64(server))"
    }

    /// Whether a verifier in the server belongs to this password. Costs some milliseconds the first time.
    static func matches(_ verifier: String, _ password: Secret, nodeKey: [UInt8]) -> Bool {
        let key = verifier + Hex.encode(HMAC.sha256(key: nodeKey, password.revealBytes()))
        if let known = checked.withLock({ $0[key] }) { return known }
        let result = compute(verifier, password)
        checked.withLock {
            if $0.count > 1000 { $0.removeAll() }
            $0[key] = result
        }
        return result
    }

    private static func compute(_ verifier: String, _ password: Secret) -> Bool {
        let parts = verifier.split(separator: "$")
        guard parts.count == 3, parts[0] == "SCRAM-SHA-256" else { return false }
        let first = parts[1].split(separator: ":")
        let second = parts[2].split(separator: ":")
        guard first.count == 2, second.count == 2, let rounds = Int(first[0]), (1...1_000_000).contains(rounds),
            let salt = Data(base64Encoded: String(first[1]))
        else { return false }
        return base64(keys(pbkdf2(password.revealBytes(), Array(salt), rounds)).stored) == String(second[0])
    }

    static func keys(_ salted: [UInt8]) -> (stored: [UInt8], server: [UInt8]) {
        let client = HMAC.sha256(key: salted, Array("Client Key".utf8))
        return (SHA256.hash(client), HMAC.sha256(key: salted, Array("Server Key".utf8)))
    }

    /// PBKDF2-HMAC-SHA-256 for one block, as SCRAM's `Hi`.
    static func pbkdf2(_ password: [UInt8], _ salt: [UInt8], _ rounds: Int) -> [UInt8] {
        var block = HMAC.sha256(key: password, salt + [0, 0, 0, 1])
        var sum = block
        for _ in 1..<max(1, rounds) {
            block = HMAC.sha256(key: password, block)
            for index in sum.indices { sum[index] ^= block[index] }
        }
        return sum
    }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}
