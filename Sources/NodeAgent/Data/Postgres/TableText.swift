import BasculePostgres

/// The statements that make a table, without indexes, constraints and defaults.
enum TableText {
    static func statements(_ table: PGTable, identity: [Int: String], targetVersion: Int) -> [String] {
        let isPartition = table.partitionBound != nil
        let lines = table.columns.map { column in
            var line = "\(PGQuote.identifier(column.name)) \(column.type)"
            if let collation = column.collation { line += " COLLATE \(collation)" }
            if column.notNull { line += " NOT NULL" }
            if !column.generated.isEmpty { line += " GENERATED ALWAYS AS (\(column.generated)) STORED" }
            // A partition takes its identity from the partitioned table.
            if !column.identity.isEmpty, !isPartition, let sequence = identity[column.number] {
                line += " GENERATED \(column.identity == "a" ? "ALWAYS" : "BY DEFAULT") AS IDENTITY \(sequence)"
            }
            return line
        }
        let unlogged = table.persistence == "u" ? "UNLOGGED " : ""
        var create = "CREATE \(unlogged)TABLE \(table.quoted) (\n    \(lines.joined(separator: ",\n    "))\n)"
        if !isPartition, !table.parents.isEmpty { create += "\nINHERITS (\(table.parents.joined(separator: ", ")))" }
        if let key = table.partitionKey { create += "\nPARTITION BY \(key)" }
        if let options = table.options { create += "\nWITH (\(options))" }
        var statements = [create]
        for column in table.columns {
            statements += alterations(table, column, targetVersion: targetVersion)
        }
        if let bound = table.partitionBound, let parent = table.parents.first {
            statements.append("ALTER TABLE ONLY \(parent) ATTACH PARTITION \(table.quoted) \(bound)")
        }
        if table.replicaIdentity == "f" || table.replicaIdentity == "n" {
            let word = table.replicaIdentity == "f" ? "FULL" : "NOTHING"
            statements.append("ALTER TABLE ONLY \(table.quoted) REPLICA IDENTITY \(word)")
        }
        return statements
    }

    private static func alterations(_ table: PGTable, _ column: PGColumn, targetVersion: Int) -> [String] {
        let alter = "ALTER TABLE ONLY \(table.quoted) ALTER COLUMN \(PGQuote.identifier(column.name)) SET"
        var statements: [String] = []
        let storages = ["p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"]
        if let storage = column.details.storage.flatMap({ storages[$0] }) {
            statements.append("\(alter) STORAGE \(storage)")
        }
        if let compression = column.details.compression, targetVersion >= 140_000 {
            statements.append("\(alter) COMPRESSION \(compression == "l" ? "lz4" : "pglz")")
        }
        if let target = column.details.statistics, target >= 0 { statements.append("\(alter) STATISTICS \(target)") }
        if let options = column.details.options, !options.isEmpty { statements.append("\(alter) (\(options))") }
        return statements
    }
}
