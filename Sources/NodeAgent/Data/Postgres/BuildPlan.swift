import BasculeModel
import BasculePostgres

/// What is built on tables after their rows are in, without what an earlier run has built already.
struct BuildPlan: Sendable {
    struct Statement: Sendable {
        var name: String
        var sql: String
        var weight: Int64
    }

    /// A foreign key: made without a look at the rows, then checked.
    final class ForeignKey: Sendable {
        let table: Int64
        let references: Int64
        /// nil where it is there already.
        let add: Statement?
        /// nil where making it checks it, or where the source never did.
        let validation: Statement?

        init(_ constraint: PGConstraint, add: Statement?, validation: Statement?) {
            table = constraint.table
            references = constraint.foreignTable
            self.add = add
            self.validation = validation
        }
    }

    /// By table: may run side by side.
    var indexes: [Int64: [Statement]] = [:]
    /// By table: run one after the other once its indexes are there.
    var closing: [Int64: [Statement]] = [:]
    /// Parts attached to partitioned indexes, after all tables.
    var attachments: [Statement] = []
    /// What is left to be done of foreign keys.
    var keys: [ForeignKey] = []
    /// Foreign keys, quick and not validated, one after the other.
    var foreignKeys: [Statement] { Self.statements(keys).add }
    /// Their validation, side by side.
    var validations: [Statement] { Self.statements(keys).validate }
    /// Indexes of materialised views, after their refresh.
    var viewIndexes: [Statement] = []

    init() {}

    init(_ catalog: PGCatalog, existing: ExistingObjects) {
        let constraints = Dictionary(uniqueKeysWithValues: catalog.constraints.map { ($0.oid, $0) })
        let tables = catalog.byOid
        for index in catalog.indexes {
            let owner = index.constraint.flatMap { constraints[$0] }
            if let parent = index.parent, !existing.attached.contains(index.quoted) {
                attachments.append(
                    Statement(
                        name: index.quoted, sql: "ALTER INDEX \(parent) ATTACH PARTITION \(index.quoted)", weight: 0))
            }
            // What stands for a constraint and cannot be made from an index first is made by the constraint.
            if let owner, owner.type == "x" || index.onPartitioned { continue }
            let statement = Statement(name: index.quoted, sql: index.definition, weight: index.bytes)
            if existing.relations.contains(index.quoted) { continue }
            if tables[index.table] == nil {
                viewIndexes.append(statement)
            } else {
                indexes[index.table, default: []].append(statement)
            }
        }
        for constraint in catalog.constraints {
            let name = "\(constraint.tableName).\(PGQuote.identifier(constraint.name))"
            let only = constraint.type == "c" || constraint.type == "f" ? "" : "ONLY "
            let alter =
                "ALTER TABLE \(only)\(constraint.tableName) ADD CONSTRAINT \(PGQuote.identifier(constraint.name)) "
            if constraint.type == "f" {
                addForeignKey(
                    constraint, name: name, alter: alter, existing: existing,
                    weight: tables[constraint.table]?.bytes ?? 0)
                continue
            }
            if existing.constraints[name] != nil { continue }
            var sql = alter + constraint.definition
            if constraint.type == "p" || constraint.type == "u", !constraint.onPartitioned,
                let index = catalog.indexes.first(where: { $0.constraint == constraint.oid })
            {
                let word = constraint.type == "p" ? "PRIMARY KEY" : "UNIQUE"
                sql = alter + "\(word) USING INDEX \(PGQuote.identifier(index.name))\(constraint.deferral)"
            }
            closing[constraint.table, default: []].append(Statement(name: name, sql: sql, weight: 0))
        }
        for index in catalog.indexes where index.isReplicaIdentity {
            guard let table = tables[index.table] else { continue }
            let sql = "ALTER TABLE ONLY \(table.quoted) REPLICA IDENTITY USING INDEX \(PGQuote.identifier(index.name))"
            closing[index.table, default: []].append(Statement(name: index.quoted, sql: sql, weight: 0))
        }
    }

    private mutating func addForeignKey(
        _ constraint: PGConstraint, name: String, alter: String, existing: ExistingObjects, weight: Int64
    ) {
        let endsUnchecked = constraint.definition.hasSuffix(" NOT VALID")
        let validate = Statement(
            name: name,
            sql: "ALTER TABLE \(constraint.tableName) VALIDATE CONSTRAINT \(PGQuote.identifier(constraint.name))",
            weight: weight)
        switch existing.constraints[name] {
        case .some(true): return
        case .some(false):
            if !endsUnchecked { keys.append(ForeignKey(constraint, add: nil, validation: validate)) }
        case .none:
            // A partitioned table takes no unvalidated foreign key before version 18.
            let plain = endsUnchecked || constraint.onPartitioned
            let add = Statement(
                name: name, sql: alter + constraint.definition + (plain ? "" : " NOT VALID"), weight: 0)
            keys.append(ForeignKey(constraint, add: add, validation: plain ? nil : validate))
        }
    }

    static func statements(_ keys: [ForeignKey]) -> (add: [Statement], validate: [Statement]) {
        var (add, validate): ([Statement], [Statement]) = ([], [])
        for key in keys {
            if let statement = key.add { add.append(statement) }
            if let statement = key.validation { validate.append(statement) }
        }
        return (add, validate)
    }

    var indexCount: Int { indexes.values.reduce(0) { $0 + $1.count } + viewIndexes.count }
    var constraintCount: Int { closing.values.reduce(0) { $0 + $1.count } + foreignKeys.count }
}

/// What the target has already.
struct ExistingObjects {
    var relations: Set<String> = []
    var attached: Set<String> = []
    /// `schema.table."name"` → validated.
    var constraints: [String: Bool] = [:]

    init(_ connection: PGConnection) throws {
        let names = try connection.query(
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relispartition
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384
            """)
        for row in names.rows {
            relations.insert(row[0] ?? "")
            if row[1] == "t" { attached.insert(row[0] ?? "") }
        }
        let rows = try connection.query(
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.conname, k.convalidated
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            """)
        for row in rows.rows {
            constraints["\(row[0] ?? "").\(PGQuote.identifier(row[1] ?? ""))"] = row[2] == "t"
        }
    }
}
