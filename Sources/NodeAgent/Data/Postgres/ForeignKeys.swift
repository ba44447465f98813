import BasculeModel
import BasculePostgres

/// Foreign keys of tables whose rows are replaced.
enum ForeignKeys {
    /// Sets aside those that lead from or to one of the tables; `BuildPlan` makes them again, and validates them.
    static func drop(_ catalog: PGCatalog, of changed: [PGTable], _ loader: PGConnection) throws {
        let numbers = Set(changed.map(\.oid))
        let existing = try ExistingObjects(loader)
        let partitions = catalog.tables.filter { $0.partitionBound != nil && numbers.contains($0.oid) }
        // A key of a partitioned table binds its partitions without being listed for them.
        let parents = Set(partitions.flatMap(\.parents))
        let roots = Set(catalog.tables.filter { parents.contains($0.quoted) }.map(\.oid))
        for key in catalog.constraints where key.type == "f" {
            let touched = numbers.union(roots)
            guard touched.contains(key.table) || touched.contains(key.foreignTable) else { continue }
            let name = PGQuote.identifier(key.name)
            guard existing.constraints["\(key.tableName).\(name)"] != nil else { continue }
            do { try loader.query("ALTER TABLE \(key.tableName) DROP CONSTRAINT \(name)") } catch {
                throw error.basculeError("setting a foreign key aside", at: .thing("\(key.tableName).\(name)"))
            }
        }
    }
}
