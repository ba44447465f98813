import BasculeCrypto
import BasculeModel
import Foundation
import GRDB

/// Desired state's memory: plans, runs, evidence, nodes and secrets of one fleet. Every method is one transaction.
package struct Store: Sendable {
    let database: DatabaseQueue
    let vault: Vault
    package let path: String

    /// The path of a fleet's store: `$XDG_STATE_HOME/bascule/FLEET.db`.
    package static func defaultPath(fleet: String) -> String {
        let environment = ProcessInfo.processInfo.environment
        let base =
            environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
            ?? "\(environment["HOME"] ?? "/root")/.local/state"
        return "\(base)/bascule/\(fleet).db"
    }

    /// Opens or creates a store. A file that is damaged is refused, never recreated.
    package init(path: String) throws {
        self.path = path
        let directory = (path as NSString).deletingLastPathComponent
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        if Store.isFull(path) { throw Store.full(path) }
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        var status = stat()
        let size = stat(path, &status) == 0 ? Int(status.st_size) : nil
        let existed = size != nil
        // SQLite would take an empty file for a new database. Only a first start that was killed leaves one, before the key.
        if size == 0, Vault.hasKey(beside: path) {
            throw BasculeError(
                .storeDamaged, "the store \(path) is empty", hint: "restore it from a backup; it is never recreated")
        }
        let sample: Data?
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            let migrator = Schema.migrator
            let pending = try database.read { try !migrator.hasCompletedMigrations($0) }
            if pending {
                if existed { try Store.backUp(database, path) }
                Failpoint.hit("controller.store.schema.before")
                try migrator.migrate(database)
                Failpoint.hit("controller.store.schema.after")
            }
            sample = try database.read { try Data.fetchOne($0, sql: "SELECT value FROM secret LIMIT 1") }
        } catch { throw Store.explain(error, path) }
        // Without a secret nothing is lost with the key: a first start that was killed before it goes on.
        vault = try Vault(beside: path, isNew: sample == nil)
        if let sample { try vault.check(opens: Array(sample), of: path) }
    }

    /// A copy by SQLite itself, before a migration of the schema touches the file.
    private static func backUp(_ database: DatabaseQueue, _ path: String) throws {
        let copy = try DatabaseQueue(path: "\(path).before-\(ProductStamp.now())")
        try database.backup(to: copy)
    }

    /// Runs a full check of the file. Throws `store-damaged`.
    package func check() throws {
        let answer = try read { try String.fetchAll($0, sql: "PRAGMA integrity_check") }
        guard answer == ["ok"] else {
            throw BasculeError(
                .storeDamaged, "the store \(path) is damaged", cause: answer.prefix(3).joined(separator: "; "),
                hint: "restore it from a backup; it is never recreated")
        }
    }

    func read<T>(_ body: (Database) throws -> T) throws -> T {
        do { return try database.read(body) } catch { throw Store.explain(error, path) }
    }

    /// One transaction that changes something, on disk when this returns.
    /// - Parameter name: what it does, in the names of its failpoints.
    func write<T>(_ name: String, _ body: (Database) throws -> T) throws -> T {
        Failpoint.hit("controller.store.\(name).before")
        let result: T
        do {
            result = try database.write { database in
                let result = try body(database)
                Failpoint.hit("controller.store.\(name).commit")
                return result
            }
        } catch { throw Store.explain(error, path) }
        Failpoint.hit("controller.store.\(name).after")
        return result
    }

    private static func explain(_ error: any Error, _ path: String) -> BasculeError {
        if let known = error as? BasculeError { return known }
        guard let failure = error as? DatabaseError else {
            return BasculeError.wrapping(error, code: .inputOutput, "the store \(path) failed")
        }
        switch failure.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return BasculeError(
                .storeDamaged, "the store \(path) is damaged or no store of Bascule's", cause: failure.message,
                hint: "restore it from a backup; it is never recreated")
        case .SQLITE_FULL: return Store.full(path)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return BasculeError(
                .storeBusy, "the store \(path) is locked by another process", hint: "bascule now shows what runs")
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_IOERR:
            // SQLite's own files beside the store do not say why they cannot grow.
            if isFull(path) { return Store.full(path) }
            return BasculeError(
                .inputOutput, "the disk of the store \(path) fails or is read-only", cause: failure.description,
                hint: "look at dmesg; what was acknowledged is in the store, the rest was not done")
        default:
            return BasculeError(.inputOutput, "the store \(path) failed", cause: failure.description)
        }
    }

    /// Bytes that must be free. SQLite maps the index of its log into memory: where the disk has no block left for it,
    /// the kernel ends the process with SIGBUS instead of giving an error.
    private static let smallestRoom: UInt64 = 1 << 20

    private static func full(_ path: String) -> BasculeError {
        BasculeError(
            .storeFull, "the disk of the store \(path) is full",
            hint: "free some space, then run the same command again: it goes on where this one stopped")
    }

    private static func isFull(_ path: String) -> Bool {
        var status = statvfs()
        guard statvfs((path as NSString).deletingLastPathComponent, &status) == 0 else { return false }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < smallestRoom || status.f_favail == 0
    }

    // MARK: - Settings

    /// A small value by name, nil where none was set.
    package func setting(_ name: String) throws -> String? {
        try read { try String.fetchOne($0, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name]) }
    }

    /// Sets a small value.
    package func set(_ name: String, to value: String) throws {
        try write("setting.\(name)") {
            try $0.execute(
                sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                arguments: [name, value])
        }
    }

    /// Adds one to a counter and gives its new value; the first is 1.
    package func next(_ counter: String) throws -> Int {
        try write("counter.\(counter)") { database in
            let value =
                (try Int.fetchOne(
                    database, sql: "SELECT CAST(value AS INTEGER) FROM setting WHERE name = ?", arguments: [counter])
                    ?? 0) + 1
            try database.execute(
                sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                arguments: [counter, String(value)])
            return value
        }
    }
}

/// Times in file names.
enum ProductStamp {
    /// `20261121T093000Z`
    static func now() -> String {
        let formatter = ISO8601DateFormatter()
        return formatter.string(from: Date()).filter { $0 != "-" && $0 != ":" }
    }
}
