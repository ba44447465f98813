import BasculeModel
import BasculePostgres

/// Decoded changes as SQL for the other side. Pure.
struct ReverseText {
    /// Columns that only the server may fill, by table.
    let always: [String: Set<String>]
    private var relations: [UInt32: PgOutput.Relation] = [:]

    init(always: [String: Set<String>]) { self.always = always }

    /// The statement of a change; nil for what changes no row.
    mutating func statement(_ message: PgOutput.Message) -> String? {
        switch message {
        case .relation(let relation):
            relations[relation.oid] = relation
            return nil
        case .insert(let oid, let new): return relations[oid].map { insert($0, new) }
        case .update(let oid, let old, let new): return relations[oid].flatMap { update($0, old, new) }
        case .delete(let oid, let old):
            return relations[oid].map { "DELETE FROM ONLY \(name($0)) WHERE \(condition($0, old))" }
        case .truncate(let oids, _, let restart):
            let names = oids.compactMap { relations[$0].map(name) }
            return names.isEmpty
                ? nil : "TRUNCATE ONLY \(names.joined(separator: ", "))\(restart ? " RESTART IDENTITY" : "")"
        case .begin, .commit, .other: return nil
        }
    }

    private func name(_ relation: PgOutput.Relation) -> String {
        PGQuote.identifier(relation.schema, relation.name)
    }

    private func literal(_ value: PgOutput.Value) -> String { value.text.map(PGQuote.literal) ?? "NULL" }

    private func insert(_ relation: PgOutput.Relation, _ values: [PgOutput.Value]) -> String {
        if values.isEmpty { return "INSERT INTO \(name(relation)) DEFAULT VALUES" }
        let columns = relation.columns.map { PGQuote.identifier($0.name) }.joined(separator: ", ")
        return
            "INSERT INTO \(name(relation)) (\(columns)) OVERRIDING SYSTEM VALUE VALUES (\(values.map(literal).joined(separator: ", ")))"
    }

    private func update(_ relation: PgOutput.Relation, _ old: [PgOutput.Value]?, _ new: [PgOutput.Value]) -> String? {
        let fixed = always[name(relation)] ?? []
        let changes = zip(relation.columns, new).filter { $0.1 != .unchanged && !fixed.contains($0.0.name) }
        guard !changes.isEmpty else { return nil }
        let list = changes.map { "\(PGQuote.identifier($0.name)) = \(literal($1))" }.joined(separator: ", ")
        return "UPDATE ONLY \(name(relation)) SET \(list) WHERE \(condition(relation, old ?? new))"
    }

    /// By the key; a table without one by all of its columns, and then one row of those that are the same.
    private func condition(_ relation: PgOutput.Relation, _ values: [PgOutput.Value]) -> String {
        let pairs = zip(relation.columns, values)
        if relation.identity != UInt8(ascii: "f") {
            return pairs.filter { $0.0.isKey }.map { "\(PGQuote.identifier($0.name)) = \(literal($1))" }
                .joined(separator: " AND ")
        }
        let all = pairs.map { "\(PGQuote.identifier($0.name))::text IS NOT DISTINCT FROM \(literal($1))" }
            .joined(separator: " AND ")
        return "ctid = (SELECT ctid FROM ONLY \(name(relation)) WHERE \(all.isEmpty ? "true" : all) LIMIT 1)"
    }
}
