import BasculeModel
import Foundation
import GRDB

/// A secret's name and history, without its value.
package struct SecretInfo: Sendable, Codable, Equatable {
    package var name: SecretName
    /// `set` by the administrator or `generated` by Bascule.
    package var origin: String
    /// Seconds since 1970.
    package var changed: Double
}

extension Store {
    /// Sets a secret, encrypted.
    package func setSecret(_ name: SecretName, _ value: Secret, origin: String = "set") throws {
        let sealed = Data(vault.box.seal(value.revealBytes()))
        try write("secret") {
            try $0.execute(
                sql: """
                    INSERT INTO secret VALUES (?, ?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value, origin = excluded.origin, changed = excluded.changed
                    """,
                arguments: [name.rawValue, sealed, origin, Date().timeIntervalSince1970])
        }
    }

    /// A secret's value, nil where it was never set.
    package func secret(_ name: SecretName) throws -> Secret? {
        let sealed = try read {
            try Data.fetchOne($0, sql: "SELECT value FROM secret WHERE name = ?", arguments: [name.rawValue])
        }
        return try sealed.map { Secret(bytes: try vault.box.open(Array($0))) }
    }

    /// The value, made now and kept if there is none: `!generate`.
    package func generatedSecret(_ name: SecretName, make: () throws -> String) throws -> Secret {
        if let known = try secret(name) { return known }
        let fresh = Secret(try make())
        try setSecret(name, fresh, origin: "generated")
        return fresh
    }

    /// All secrets without their values, by name.
    package func secrets() throws -> [SecretInfo] {
        try read { database in
            try Row.fetchAll(database, sql: "SELECT name, origin, changed FROM secret ORDER BY name").map {
                SecretInfo(name: SecretName($0["name"]), origin: $0["origin"], changed: $0["changed"])
            }
        }
    }

    /// Removes secrets for good.
    package func removeSecrets(_ names: Set<SecretName>) throws {
        try write("secrets.remove") { database in
            for name in names {
                try database.execute(sql: "DELETE FROM secret WHERE name = ?", arguments: [name.rawValue])
            }
        }
    }
}
