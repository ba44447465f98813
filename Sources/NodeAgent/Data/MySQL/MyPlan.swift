import BasculeModel
import BasculeMySQL
import BasculePostgres

/// One column on its way.
struct MyColumnPlan {
    var source: MyColumn
    /// The target's name.
    var name: String
    var target: MyTarget
    var rule: MyRule
    var converter: MyConverter
    /// What is selected at the source.
    var select: String
    /// The target computes it; it is compared and not copied.
    var isComputed = false
    /// Its expression in the target's language, where we make the table.
    var expression: String?
}

/// One table on its way.
struct MyTablePlan {
    var source: MyTable
    /// The target's name without its schema.
    var name: String
    /// The target's name with its schema, quoted.
    var quoted: String
    var columns: [MyColumnPlan]
    /// Places of the key's columns: the primary key's, else of a unique index without NULLs, else none.
    var key: [Int]
    /// Made by the app's own migrations.
    var exists: Bool

    /// Rows in the order of the key, which is how InnoDB holds them.
    func select(where condition: String = "") -> String {
        let order = key.map { MyQuote.identifier(columns[$0].source.name) }.joined(separator: ", ")
        return "SELECT \(columns.map(\.select).joined(separator: ", ")) FROM \(MyQuote.identifier(source.name))"
            + (condition.isEmpty ? "" : " WHERE \(condition)") + (order.isEmpty ? "" : " ORDER BY \(order)")
    }

    var copied: [MyColumnPlan] { columns.filter { !$0.isComputed } }

    func copyIn(extra: String?) -> String {
        let names = copied.map(\.name) + (extra.map { [$0] } ?? [])
        return "COPY \(quoted) (\(names.map { PGQuote.identifier($0) }.joined(separator: ", "))) FROM STDIN"
    }

    func copyOut(where condition: String = "") -> String {
        let names = columns.map { PGQuote.identifier($0.name) }.joined(separator: ", ")
        return "COPY (SELECT \(names) FROM ONLY \(quoted)\(condition.isEmpty ? "" : " WHERE \(condition)")) TO STDOUT"
    }
}

/// The whole move: every table that goes over, what is said about it, and what refuses it.
struct MyPlan {
    var tables: [MyTablePlan] = []
    var findings: [PostgresFinding] = []
    /// The app's own migrations made the tables.
    var isMapped = false
    var needsCitext = false

    /// The migration tools' own bookkeeping, which says nothing about another kind of server.
    static let bookkeeping: Set<String> = [
        "_prisma_migrations", "schema_migrations", "ar_internal_metadata", "knex_migrations", "knex_migrations_lock",
        "migrations", "django_migrations", "flyway_schema_history", "alembic_version", "SequelizeMeta",
    ]

    func refuse(_ code: String, _ object: String, _ message: String, hint: String) -> PostgresFinding {
        PostgresFinding(code, .refuse, object, message, hint: hint)
    }
}
