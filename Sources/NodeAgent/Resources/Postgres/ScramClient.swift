import BasculeCrypto
import BasculeModel
import FoundationEssentials

/// The client's side of SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677), as PostgreSQL and PgBouncer speak it
/// over a Unix socket. PostgreSQL takes the user from its startup message and ignores the one in here.
struct ScramClient {
    static let mechanism = "SCRAM-SHA-256"
    private let password: [UInt8]
    private let nonce: String
    private var signature: [UInt8] = []

    init(_ password: Secret, nonce: String = Data(RandomBytes.make(18)).base64EncodedString()) {
        (self.password, self.nonce) = (password.revealBytes(), nonce)
    }

    private var bare: String { "n=,r=\(nonce)" }

    /// The client's first message.
    func first() -> [UInt8] { Array("n,,\(bare)".utf8) }

    /// The proof, in answer to the server's first message.
    mutating func final(_ message: [UInt8], _ place: Place) throws -> [UInt8] {
        let text = String(decoding: message, as: UTF8.self)
        let fields = Self.fields(text)
        guard let all = fields["r"], all.hasPrefix(nonce), all.utf8.count > nonce.utf8.count,
            let salt = fields["s"].flatMap({ Data(base64Encoded: $0) }), let rounds = fields["i"].flatMap({ Int($0) }),
            (1...1_000_000).contains(rounds)
        else { throw BasculeError(.postgresRefused, "The server's SCRAM message is malformed", at: place) }
        let salted = ScramVerifier.pbkdf2(password, Array(salt), rounds)
        let keys = ScramVerifier.keys(salted)
        let without = "c=biws,r=\(all)"
        let spoken = Array("\(bare),\(text),\(without)".utf8)
        signature = HMAC.sha256(key: keys.server, spoken)
        let mask = HMAC.sha256(key: keys.stored, spoken)
        let client = HMAC.sha256(key: salted, Array("Client Key".utf8))
        let proof = zip(client, mask).map { $0 ^ $1 }
        return Array("\(without),p=\(Data(proof).base64EncodedString())".utf8)
    }

    /// Throws unless the server knows the password's verifier too.
    func verify(_ message: [UInt8], _ place: Place) throws {
        let proof = Self.fields(String(decoding: message, as: UTF8.self))["v"].flatMap { Data(base64Encoded: $0) }
        guard let proof, Array(proof) == signature else {
            throw BasculeError(.postgresRefused, "The server could not prove itself", at: place)
        }
    }

    private static func fields(_ text: String) -> [String: String] {
        Dictionary(
            text.split(separator: ",").compactMap { part in
                part.dropFirst().first == "=" ? (String(part.prefix(1)), String(part.dropFirst(2))) : nil
            }, uniquingKeysWith: { first, _ in first })
    }
}
