import BasculeCrypto
import BasculeModel
import Foundation
import GRDB

/// How far a node has come in the rotation that is under way.
package enum RotationState: String, Sendable {
    /// It may know the new keys.
    case announced
    /// It obeys the new keys and no others.
    case confirmed
    /// Its own sealing key is a new one, too.
    case done
}

/// A fleet's keys: what logs in, and what signs.
package struct FleetKeys: Sendable {
    package var secret: Secret
    package var publicLine: String
    package var signing: SigningKeyPair

    /// `publicLine` as OpenSSH writes it; `secret` is its private key text.
    package init(secret: Secret, publicLine: String, signing: SigningKeyPair) {
        (self.secret, self.publicLine, self.signing) = (secret, publicLine, signing)
    }
}

extension Store {
    private static let pendingSecrets = ["bascule.pending.fleet-key", "bascule.pending.signing-key"]
    private static let pendingSettings = ["rotation.fleet-key", "rotation.signing-key"]

    /// The keys of the rotation that is under way; nil where there is none.
    package func pendingKeys() throws -> FleetKeys? {
        guard let line = try setting(Store.pendingSettings[0]), let open = try setting(Store.pendingSettings[1]),
            let secret = try secret(SecretName(Store.pendingSecrets[0])),
            let own = try self.secret(SecretName(Store.pendingSecrets[1])), let openBytes = Hex.decode(open),
            let ownBytes = Hex.decode(own.reveal())
        else { return nil }
        return FleetKeys(
            secret: secret, publicLine: line, signing: SigningKeyPair(publicKey: openBytes, secretKey: ownBytes))
    }

    /// Begins a rotation: its keys are kept beside those that hold, all of them or none.
    package func beginRotation(_ keys: FleetKeys) throws {
        let values = [keys.secret.reveal(), Hex.encode(keys.signing.secretKey)]
        let settings = [keys.publicLine, Hex.encode(keys.signing.publicKey)]
        try write("rotation.begin") { database in
            for (name, value) in zip(Store.pendingSecrets, values) { try put(secret: name, value, database) }
            for (name, value) in zip(Store.pendingSettings, settings) { try Store.put(name, value, database) }
        }
    }

    private static func stateName(_ node: NodeName) -> String { "rotation/state/\(node)" }
    private static func sealingName(_ node: NodeName) -> String { "rotation/sealing/\(node)" }

    /// How far a node has come; nil where it was told nothing.
    package func rotationState(of node: NodeName) throws -> RotationState? {
        try setting(Store.stateName(node)).flatMap { RotationState(rawValue: $0) }
    }

    /// Notes how far a node has come.
    package func note(_ state: RotationState, of node: NodeName) throws {
        try write("rotation.\(state.rawValue)") { try Store.put(Store.stateName(node), state.rawValue, $0) }
    }

    /// The next sealing key of a node, pinned beside the one that holds until the node has taken it.
    package func nextSealingKey(of node: NodeName) throws -> String? { try setting(Store.sealingName(node)) }

    /// Pins the key that a node made (hexadecimal) beside the one that holds.
    package func pin(nextSealingKey key: String, of node: NodeName) throws {
        try write("rotation.sealing.pin") { try Store.put(Store.sealingName(node), key, $0) }
    }

    /// The node has taken its next sealing key: it is the pinned one, and the former is forgotten.
    package func finishSealing(_ key: String, of node: NodeName) throws {
        try write("rotation.sealing.finish") { database in
            try database.execute(
                sql: "UPDATE node SET sealing_key = ? WHERE name = ?", arguments: [key, node.rawValue])
            try database.execute(sql: "DELETE FROM setting WHERE name = ?", arguments: [Store.sealingName(node)])
            try Store.put(Store.stateName(node), RotationState.done.rawValue, database)
        }
    }

    /// Every node obeys the rotation's keys: they are the fleet's. The former one is kept as after an adoption.
    package func promote() throws {
        guard let keys = try pendingKeys() else { return }
        let former = [try secret("bascule.fleet-key")].compactMap { $0 } + (try formerFleetKeys())
        try write("rotation.promote") { database in
            try put(secret: "bascule.fleet-key", keys.secret.reveal(), database)
            try put(
                secret: "bascule.fleet-key.former", former.prefix(4).map { $0.reveal() }.joined(separator: "\u{0}"),
                database)
            try put(secret: "bascule.signing-key", Hex.encode(keys.signing.secretKey), database)
            try Store.put("fleet-key.public", keys.publicLine, database)
            try Store.put("signing-key.public", Hex.encode(keys.signing.publicKey), database)
            try Store.endRotation(database)
        }
    }

    /// Forgets the rotation that is under way: its keys are the fleet's now, or never will be.
    static func endRotation(_ database: Database) throws {
        for name in pendingSecrets {
            try database.execute(sql: "DELETE FROM secret WHERE name = ?", arguments: [name])
        }
        for name in pendingSettings {
            try database.execute(sql: "DELETE FROM setting WHERE name = ?", arguments: [name])
        }
        // A sealing key that is pinned beside another stays: the node may have taken it.
        try database.execute(sql: "DELETE FROM setting WHERE name LIKE 'rotation/state/%'")
    }

    private func put(secret name: String, _ value: String, _ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO secret VALUES (?, ?, 'generated', ?)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed = excluded.changed
                """,
            arguments: [name, Data(vault.box.seal(Array(value.utf8))), Date().timeIntervalSince1970])
    }

    private static func put(_ name: String, _ value: String, _ database: Database) throws {
        try database.execute(
            sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            arguments: [name, value])
    }
}
