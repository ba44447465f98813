import BasculeCrypto
import BasculeModel
import BasculeStore
import Foundation

/// What a drill found, signed with the fleet's key: it counts until it expires, and only as it was written.
package struct DrillRecord: Codable, Sendable, Equatable {
    package var fleet: String
    /// Seconds since 1970.
    package var made: Double
    package var expires: Double
    package var evidence: [Evidence]
    /// Seconds of writes that would have been lost; nil where no database is backed up.
    package var rpo: Double?
    /// Seconds from "host lost" to "serving".
    package var rto: Double
    /// Seconds that it would take with 40 GB, and how that was reckoned.
    package var projected: Double
    package var projection: String

    package init(
        fleet: String, made: Double, expires: Double, evidence: [Evidence], rpo: Double?, rto: Double,
        projected: Double, projection: String
    ) {
        (self.fleet, self.made, self.expires, self.evidence) = (fleet, made, expires, evidence)
        (self.rpo, self.rto, self.projected, self.projection) = (rpo, rto, projected, projection)
    }

    /// Whether everything that was asked was as it had to be.
    package var passed: Bool { !evidence.isEmpty && evidence.allSatisfy(\.passed) }
}

/// A record with its signature, as the store keeps it.
struct SignedDrill: Codable {
    var record: String
    /// Hexadecimal, Ed25519 over `context` and the record's bytes.
    var signature: String

    static let context = Array("bascule drill 1\n".utf8)
    static let setting = "drill/last"

    init(_ record: DrillRecord, keys: SigningKeyPair) throws {
        let coder = JSONEncoder()
        coder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try coder.encode(record))
        self.record = String(decoding: bytes, as: UTF8.self)
        signature = Hex.encode(keys.sign(SignedDrill.context + bytes))
    }

    /// The record, if the key signed it.
    func opened(by publicKey: [UInt8]) throws -> DrillRecord {
        guard let signature = Hex.decode(signature),
            SigningKeyPair.verify(signature, of: SignedDrill.context + Array(record.utf8), by: publicKey)
        else {
            throw BasculeError(
                .gateClosed, "the drill's evidence is not signed by this fleet's key",
                hint: "bascule snapshot drill makes new evidence")
        }
        return try JSONDecoder().decode(DrillRecord.self, from: Data(record.utf8))
    }
}

extension Store {
    /// The newest drill's record, if it is this fleet's own; nil where there was none.
    package func drill() throws -> DrillRecord? {
        guard let text = try setting(SignedDrill.setting) else { return nil }
        let signed = try JSONDecoder().decode(SignedDrill.self, from: Data(text.utf8))
        guard let key = try setting("signing-key.public").flatMap({ Hex.decode($0) }) else { return nil }
        return try signed.opened(by: key)
    }
}

/// The gate that a migration passes only with backups that were restored.
enum DrillGate {
    static func result(_ store: Store, now: Date) throws -> StepResult {
        let time = now.timeIntervalSince1970
        func proof(_ value: String, _ passed: Bool, _ expires: Double?) -> Evidence {
            Evidence(
                "backups restored", value: value, threshold: "a drill that has passed and not expired", passed: passed,
                time: time, expires: expires, origin: "controller")
        }
        func closed(_ why: String) -> StepResult {
            let error = BasculeError(
                .gateClosed, why,
                hint: "bascule snapshot drill, then apply again; migration.drill: waived goes without")
            return StepResult(.refused, why, error: error, evidence: [proof(why, false, nil)])
        }
        let drill: DrillRecord?
        do { drill = try store.drill() } catch let error as BasculeError { return closed(error.message) }
        guard let drill else { return closed("the backups were never restored by a drill") }
        guard drill.passed else {
            let first = drill.evidence.first { !$0.passed }
            return closed("the last drill failed: \(first?.subject ?? "it measured nothing")")
        }
        // A clock that was set back makes no evidence fresh.
        guard time < drill.expires, drill.made <= time + 300 else {
            return closed("the last drill is \((time - drill.made).durationText) old, its evidence has expired")
        }
        let value =
            "\((time - drill.made).durationText) ago, RTO \(drill.rto.durationText)\(drill.rpo.map { ", RPO \($0.durationText)" } ?? "")"
        return StepResult(.done, value, evidence: [proof(value, true, drill.expires)])
    }
}

extension ErrorCode {
    /// A gate's condition does not hold: nothing beyond it is begun.
    package static let gateClosed: ErrorCode = "gate-closed"
}
