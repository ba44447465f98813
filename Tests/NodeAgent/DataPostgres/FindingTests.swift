import BasculeModel
import BasculePostgres
import Testing

extension AgainstServers {
    /// Every finding that a server can be brought to on this machine, by its name and weight.
    @Suite struct FindingTests {
        private func found(_ pair: Pair, as user: String = "postgres") throws -> Set<String> {
            Set(try pair.preflight(as: user).findings.map { "\($0.code) \($0.severity) \($0.object)" })
        }

        private func expect(_ pair: Pair, as user: String = "postgres", _ wanted: String...) throws {
            let all = try found(pair, as: user)
            for one in wanted { #expect(all.contains(one), "\(one) is not among \(all.sorted())") }
        }

        @Test func whatStaysBehindIsNamed() throws {
            let pair = try Pair(
                "staysbehind",
                """
                CREATE FUNCTION noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
                CREATE EVENT TRIGGER watches ON ddl_command_start EXECUTE FUNCTION noticed();
                CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
                CREATE TABLE t (id int PRIMARY KEY, email text); CREATE PUBLICATION feed FOR TABLE t;
                DROP ROLE IF EXISTS leaves; CREATE ROLE leaves; GRANT SELECT ON t TO leaves;
                """)
            let source = try pair.source.connect(pair.name)
            try source.query("BEGIN")
            try source.query("INSERT INTO t VALUES (1)")
            try source.query("PREPARE TRANSACTION 'waits'")
            defer {
                // Neither lets its database go.
                _ = try? source.query("ROLLBACK PREPARED 'waits'")
                _ = try? source.query("DROP OWNED BY leaves")
                _ = try? source.query("DROP ROLE leaves")
            }
            try expect(
                pair, #"event-trigger warn "watches""#, #"foreign-server warn "elsewhere""#,
                #"extension-untrusted refuse "postgres_fdw""#, #"publication info "feed""#,
                "prepared-transaction warn waits", #"role-missing warn "leaves""#)
        }

        @Test func extensionsThatTheTargetLacksAreNamed() throws {
            let pair = try Pair(
                "lacks",
                """
                CREATE EXTENSION hstore; CREATE EXTENSION tablefunc; CREATE EXTENSION citext; CREATE EXTENSION "uuid-ossp";
                CREATE TABLE t (id int PRIMARY KEY, attributes hstore, email citext);
                UPDATE pg_extension SET extname = 'needed' WHERE extname = 'hstore';
                UPDATE pg_extension SET extname = 'pg_graphql' WHERE extname = 'tablefunc';
                UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'citext';
                """)
            try expect(
                pair, #"extension-missing refuse "needed""#, #"extension-left warn "pg_graphql""#,
                #"extension-version info "citext""#)
        }

        @Test func rolesAndDatabasesThatDoNotFitAreNamed() throws {
            var pair = try Pair("misfit", "CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO app")
            try expect(pair, as: "app", #"fence-needs-owner warn "public"."t""#)
            pair.move.owner = "nobody_here"
            try expect(pair, #"owner-missing refuse "nobody_here""#)
            try pair.recreate(pair.target, "LOCALE 'C' ENCODING 'LATIN1'")
            try expect(pair, "encoding refuse ", "collation warn ")
            try pair.recreate(pair.source, "LOCALE 'C' ENCODING 'SQL_ASCII'")
            try expect(pair, "encoding refuse misfit")
        }
    }
}

extension Pair {
    /// The empty database anew, with other options.
    func recreate(_ cluster: Cluster, _ options: String) throws {
        let admin = try cluster.connect("postgres")
        try admin.query("DROP DATABASE \(name) WITH (FORCE)")
        try admin.query("CREATE DATABASE \(name) OWNER shop TEMPLATE template0 \(options)")
    }
}
