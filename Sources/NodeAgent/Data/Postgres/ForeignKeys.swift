import BasculeModel
import BasculePostgres

/// Foreign keys of tables whose rows are replaced.
enum ForeignKeys {
    /// Sets aside those that lead from or to one of the tables; `BuildPlan` makes them again, and validates them.
    static func drop(_ catalog: PGCatalog, of changed: [PGTable], _ loader: PGConnection) throws {
        let existing = try ExistingObjects(loader)
        var touched = Set(changed.map(\.oid))
        // A key of a partitioned table binds its partitions, on all levels, without being listed for them.
        var parents: Set<String> = []
        for table in changed where table.partitionBound != nil { parents.formUnion(table.parents) }
        while !parents.isEmpty {
            var next: Set<String> = []
            for table in catalog.tables where parents.contains(table.quoted) && touched.insert(table.oid).inserted {
                if table.partitionBound != nil { next.formUnion(table.parents) }
            }
            parents = next
        }
        for key in catalog.constraints where key.type == "f" {
            guard touched.contains(key.table) || touched.contains(key.foreignTable) else { continue }
            let name = PGQuote.identifier(key.name)
            guard existing.constraints["\(key.tableName).\(name)"] != nil else { continue }
            do { try loader.query("ALTER TABLE \(key.tableName) DROP CONSTRAINT \(name)") } catch {
                throw error.basculeError("setting a foreign key aside", at: .thing("\(key.tableName).\(name)"))
            }
        }
    }
}
