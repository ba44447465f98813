import BasculeModel
import BasculePostgres
import Glibc

/// Whether the target can take what the source has.
struct PreflightTarget {
    let sides: Sides
    let source: PGConnection
    let target: PGConnection
    let catalog: PGCatalog

    /// Extensions that only a superuser may create, but that give nobody a way out of the database.
    private static let harmless: Set = [
        "pg_stat_statements", "postgis", "postgis_topology", "vector", "pg_repack", "hypopg", "rum", "pgaudit",
        "amcheck", "bloom", "insert_username", "moddatetime", "autoinc", "refint", "intagg", "earthdistance",
        "pg_freespacemap", "pg_visibility", "pgrowlocks", "pgstattuple", "pg_buffercache", "sslinfo", "xml2",
    ]

    func findings(roles: Set<String>, resuming: Bool) throws -> [PostgresFinding] {
        var findings: [PostgresFinding] = []
        if !roles.contains(sides.move.owner) {
            findings.append(
                PostgresFinding(
                    "owner-missing", .refuse, PGQuote.identifier(sides.move.owner),
                    "The role that shall own the objects does not exist at the target",
                    hint: "Create it before the copy."))
        }
        let isSuperuser = target.parameter("is_superuser") == "on"
        if !isSuperuser {
            findings.append(
                PostgresFinding(
                    "target-not-superuser", .refuse, sides.move.targetUser,
                    "The target's login is no superuser", hint: "Log in as postgres over the socket."))
        }
        let resumes = resuming ? try Ledger.exists(target) && Ledger.value(target, "schema") != nil : false
        if !sides.move.allowNonEmptyTarget, !resumes { findings += try nonEmpty() }
        findings += try extensions()
        findings += try locale()
        // Only a superuser is told where the data lie.
        if !resumes, isSuperuser { findings += try space() }
        return findings
    }

    private func nonEmpty() throws -> [PostgresFinding] {
        let rows = try target.query(
            """
            SELECT count(*), min(quote_ident(n.nspname) || '.' || quote_ident(c.relname))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid >= 16384 AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bascule')
                AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
                AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
            """)
        let count = number(rows.scalar)
        guard count > 0 else { return [] }
        return [
            PostgresFinding(
                "target-not-empty", .refuse, rows.rows[0][1] ?? "",
                "The target database already holds \(count) tables, views or sequences",
                hint: "Empty it, name another database, or say that it may hold something (allowNonEmptyTarget).")
        ]
    }

    private func extensions() throws -> [PostgresFinding] {
        let rows = try target.query(
            """
            SELECT a.name, a.default_version, bool_or(v.trusted) FROM pg_available_extensions a
                JOIN pg_available_extension_versions v ON v.name = a.name GROUP BY 1, 2
            """)
        let available = Dictionary(
            rows.rows.map { ($0[0] ?? "", (version: $0[1] ?? "", trusted: $0[2] == "t")) },
            uniquingKeysWith: { one, _ in one })
        let used = try usedExtensions()
        return catalog.extensions.compactMap { item in
            let name = PGQuote.identifier(item.name)
            guard let there = available[item.name] else {
                if !used.contains(item.name) {
                    return PostgresFinding(
                        "extension-left", .warn, name,
                        "The target has no such extension, and nothing that is moved is known to use it",
                        hint: "Look for its name in function bodies, which the catalog does not read.")
                }
                return PostgresFinding(
                    "extension-missing", .refuse, name, "The target has no such extension",
                    hint: "Install its package on the node, or drop the extension at the source.")
            }
            if !there.trusted, !Self.harmless.contains(item.name) {
                return PostgresFinding(
                    "extension-untrusted", .refuse, name,
                    "The extension gives its users rights outside the database",
                    hint: "Accept the finding if the shop needs it.")
            }
            guard there.version != item.version else { return nil }
            return PostgresFinding(
                "extension-version", .info, name, "Version \(item.version) becomes \(there.version)",
                hint: "Read the extension's notes if it stores data of its own.")
        }
    }

    /// Extensions of whose types, functions or operators something outside of extensions makes use.
    private func usedExtensions() throws -> Set<String> {
        let rows = try source.query(
            """
            SELECT DISTINCT e.extname FROM pg_depend m JOIN pg_extension e ON e.oid = m.refobjid
                JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid AND d.deptype IN ('n', 'a')
            WHERE m.refclassid = 'pg_extension'::regclass AND m.deptype = 'e'
                AND NOT (m.classid = 'pg_namespace'::regclass) AND d.classid <> 'pg_event_trigger'::regclass
                AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = d.classid AND o.objid = d.objid
                    AND o.deptype = 'e')
                AND NOT EXISTS (SELECT FROM pg_depend i JOIN pg_depend o ON o.classid = i.refclassid
                        AND o.objid = i.refobjid AND o.deptype = 'e'
                    WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('i', 'a'))
            """)
        return Set(rows.rows.map { $0[0] ?? "" })
    }

    private func locale() throws -> [PostgresFinding] {
        let query = """
            SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
            WHERE datname = current_database()
            """
        let (one, other) = (try source.query(query).rows[0], try target.query(query).rows[0])
        var findings: [PostgresFinding] = []
        if other[0] != "UTF8", other[0] != one[0] {
            findings.append(
                PostgresFinding(
                    "encoding", .refuse, "", "\(one[0] ?? "") does not fit into \(other[0] ?? "")",
                    hint: "Create the target database with ENCODING 'UTF8'."))
        }
        if one[1] != other[1] || one[2] != other[2] {
            findings.append(
                PostgresFinding(
                    "collation", .warn, "",
                    "Text sorts by \(one[1] ?? "") at the source, by \(other[1] ?? "") at the target",
                    hint: "Create the target database with the same LC_COLLATE if the order of lists matters."))
        }
        return findings
    }

    private func space() throws -> [PostgresFinding] {
        let wanted = catalog.loadable.reduce(0) { $0 + $1.bytes } + catalog.indexes.reduce(0) { $0 + $1.bytes }
        guard let directory = try target.query("SHOW data_directory").scalar else { return [] }
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else { return [] }
        let free = Int64(info.f_bavail) * Int64(info.f_frsize)
        // A fifth more for WAL and sorting.
        guard free < wanted + wanted / 5 else { return [] }
        return [
            PostgresFinding(
                "disk-space", .refuse, directory, "\(wanted >> 20) MiB do not fit into \(free >> 20) MiB of free disk",
                hint: "Give the node a larger disk.")
        ]
    }
}
