import BasculeModel
import BasculePostgres

/// Reads what a fence will take. Changes nothing.
struct FenceCapture {
    let sides: Sides
    /// Roles whose members may write everywhere, whatever the rights on a table say.
    static let writers = ["pg_write_all_data"]
    static let marker = "bascule.fence"

    func run() throws -> PostgresFence {
        let source = try sides.source()
        do {
            if let other = try Self.settings(source, role: nil)[Self.marker] {
                throw BasculeError(
                    .fenceFailed, "The source is already fenced", at: .thing(source.place), cause: "fence \(other)",
                    hint: "Use the rights that were captured before; release that fence before another is captured.")
            }
            let database = try source.query("SELECT current_database()").scalar ?? ""
            let roles = try source.query(
                "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"
            ).rows.map { row in
                PostgresFencedRole(
                    name: row[0] ?? "", canLogin: row[1] == "t", isSuperuser: row[2] == "t",
                    readOnlyDefault: try Self.settings(source, role: row[0] ?? "")["default_transaction_read_only"])
            }
            var generator = SystemRandomNumberGenerator()
            return PostgresFence(
                id: String(generator.next() as UInt64, radix: 36), database: database,
                objects: try FenceRights(source: source).read(), roles: roles,
                memberships: try Self.memberships(source),
                readOnlyDefault: try Self.settings(source, role: nil)["default_transaction_read_only"])
        } catch let error as PGError {
            throw error.basculeError("capturing the rights of the source", at: .thing(source.place))
        }
    }

    /// Memberships of the roles that may write everywhere.
    static func memberships(_ source: PGConnection) throws(PGError) -> [PostgresFencedMembership] {
        try source.query(
            """
            SELECT r.rolname, m.rolname, CASE WHEN $2::int4 >= 16 THEN g.rolname ELSE '' END,
                bool_or(a.admin_option)
            FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
                LEFT JOIN pg_roles g ON g.oid = a.grantor
            WHERE r.rolname = ANY ($1::text[]) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """, [PGQuote.array(Self.writers), "\(source.majorVersion)"]
        ).rows.map { row in
            PostgresFencedMembership(
                role: row[0] ?? "", member: row[1] ?? "", grantor: row[2] ?? "", admin: row[3] == "t")
        }
    }

    /// Settings of the database, or of a role in this database.
    static func settings(_ source: PGConnection, role: String?) throws -> [String: String] {
        let rows = try source.query(
            """
            SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE d.datname = current_database()
                AND s.setrole = coalesce((SELECT oid FROM pg_roles WHERE rolname = $1), 0)
            """, [role])
        var settings: [String: String] = [:]
        for row in rows.rows {
            let parts = (row[0] ?? "").split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { settings[parts[0]] = parts[1] }
        }
        return settings
    }
}
