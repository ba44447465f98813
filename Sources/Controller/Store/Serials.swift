import BasculeModel
import GRDB

extension Store {
    private static func name(_ node: NodeName) -> String { "serial/\(node)" }

    /// The highest serial that was taken for a node; 0 before the first.
    package func serial(of node: NodeName) throws -> Int { try setting(Store.name(node)).flatMap { Int($0) } ?? 0 }

    /// Takes the node's next serial. Throws `stale-serial`, and takes none, where the node has seen a higher one than
    /// this store ever gave: then the store is an old copy.
    package func nextSerial(of node: NodeName, seen: Int) throws -> Int {
        try write("serial.next") { database in
            let last =
                try Int.fetchOne(
                    database, sql: "SELECT CAST(value AS INTEGER) FROM setting WHERE name = ?",
                    arguments: [Store.name(node)]) ?? 0
            guard last >= seen else { throw BasculeError.oldCopy(path, last: last, seen: seen) }
            try Store.set(Store.name(node), to: last + 1, database)
            return last + 1
        }
    }

    /// Throws `stale-serial` where the node has seen a higher serial than this store ever gave.
    package func requireSerial(of node: NodeName, atLeast seen: Int) throws {
        let last = try serial(of: node)
        guard last >= seen else { throw BasculeError.oldCopy(path, last: last, seen: seen) }
    }

    /// Takes up a node's counting where it stands. Only root's login on the node may call for this.
    package func raiseSerial(of node: NodeName, to serial: Int) throws {
        try write("serial.raise") { database in
            let last =
                try Int.fetchOne(
                    database, sql: "SELECT CAST(value AS INTEGER) FROM setting WHERE name = ?",
                    arguments: [Store.name(node)]) ?? 0
            if serial > last { try Store.set(Store.name(node), to: serial, database) }
        }
    }

    private static func set(_ name: String, to value: Int, _ database: Database) throws {
        try database.execute(
            sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            arguments: [name, String(value)])
    }
}

extension BasculeError {
    fileprivate static func oldCopy(_ path: String, last: Int, seen: Int) -> BasculeError {
        BasculeError(
            "stale-serial",
            "the store \(path) counts \(last) for this node, and the node has seen \(seen): the store is an old copy",
            hint: "use the newest store, or make this one the newest with root's login on the nodes: bascule adopt")
    }
}
