import BasculeModel
import BasculePostgres

/// Makes the source's schema at the target: what must be there before rows, and what comes after them.
struct SchemaBuilder {
    let sides: Sides
    let catalog: PGCatalog
    let admin: PGConnection

    /// Schemas and extensions, by the superuser: only names travel here, quoted by us.
    func prepareNamespaces() throws {
        let owner = PGQuote.identifier(sides.move.owner)
        let homes = Set(catalog.extensions.map(\.schema)).subtracting(["pg_catalog"])
        do {
            try admin.query("SET client_min_messages = error")
            for role in catalog.apiRoles
            where try admin.query("SELECT FROM pg_roles WHERE rolname = $1", [role]).isEmpty {
                try admin.query("CREATE ROLE \(PGQuote.identifier(role)) NOLOGIN NOINHERIT")
            }
            for schema in Set(catalog.schemas).union(homes).sorted() {
                let name = PGQuote.identifier(schema)
                if try admin.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema]).isEmpty {
                    try admin.query("CREATE SCHEMA \(name) AUTHORIZATION \(owner)")
                } else {
                    try admin.query("GRANT USAGE, CREATE ON SCHEMA \(name) TO \(owner)")
                }
            }
            let available = Set(
                try admin.query("SELECT name FROM pg_available_extensions").rows.map { $0[0] ?? "" })
            for item in catalog.extensions where available.contains(item.name) {
                let home = item.schema == "pg_catalog" ? "" : " SCHEMA \(PGQuote.identifier(item.schema))"
                try admin.query("CREATE EXTENSION IF NOT EXISTS \(PGQuote.identifier(item.name))\(home)")
            }
        } catch { throw error.basculeError("making schemas and extensions") }
    }

    /// Everything that rows need, in one transaction with its mark: there wholly or not at all.
    func createEarly(_ loader: PGConnection, digest: String) throws {
        try loader.transaction {
            for object in catalog.early { try run(loader, object) }
            try Autovacuum.pause(catalog.loadable, loader)
            try Ledger.set(loader, "schema", digest)
        }
    }

    /// Views that need keys, then materialised views' content, then triggers, policies, comments and grants.
    func createLate(_ loader: PGConnection) throws {
        if try Ledger.value(loader, "late") == nil {
            try loader.transaction {
                for object in catalog.late { try run(loader, object) }
                try Ledger.set(loader, "late", "done")
            }
        }
    }

    func createFinals(_ loader: PGConnection) throws {
        if try Ledger.value(loader, "finals") == nil {
            try loader.transaction {
                try Autovacuum.resume(loader)
                for object in catalog.finals {
                    for statement in object.sql { try run(loader, statement, "making \(object.name)", object.name) }
                }
                try Ledger.set(loader, "finals", "done")
            }
        }
    }

    private func run(_ loader: PGConnection, _ object: SchemaObject) throws {
        for statement in object.sql { try run(loader, statement, "making \(object.kind)", object.name) }
    }

    private func run(_ loader: PGConnection, _ statement: String, _ doing: String, _ name: String) throws {
        do { try loader.query(statement) } catch {
            throw error.basculeError(doing, at: .thing(name), hint: hint(for: error))
        }
    }

    private func hint(for error: PGError) -> String? {
        switch error.state {
        case "42883", "42704", "3F000", "42P01":
            "It needs an object that is not among the schemas and extensions that are moved; add it or drop the user."
        case "42601": "The target's version does not know this syntax; change the object at the source first."
        default: nil
        }
    }
}
