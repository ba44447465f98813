import GRDB

/// The store's migrations: append-only. Each brings the schema one step forward.
enum Schema {
    static let migrations: [(String, String)] = [
        (
            "1 everything of the first version",
            """
            CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
            CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL, origin TEXT NOT NULL, changed REAL NOT NULL) STRICT;
            CREATE TABLE node (
                name TEXT PRIMARY KEY, machine TEXT, host_keys TEXT NOT NULL DEFAULT '[]', sealing_key TEXT,
                architecture TEXT, address TEXT, port INTEGER, agent TEXT, facts TEXT, seen REAL, secrets_tag TEXT) STRICT;
            CREATE TABLE plan (id TEXT PRIMARY KEY, created REAL NOT NULL, body TEXT NOT NULL) STRICT;
            CREATE TABLE run (
                id TEXT PRIMARY KEY, plan TEXT NOT NULL REFERENCES plan(id), started REAL NOT NULL, ended REAL,
                outcome TEXT, through TEXT, summary TEXT) STRICT;
            CREATE TABLE segment (
                id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES run(id), node TEXT NOT NULL, serial INTEGER NOT NULL,
                body TEXT NOT NULL, sent REAL, outcome TEXT) STRICT;
            CREATE TABLE event (
                run TEXT NOT NULL, node TEXT NOT NULL, sequence INTEGER NOT NULL, time REAL NOT NULL, segment TEXT NOT NULL,
                body TEXT NOT NULL, PRIMARY KEY (node, sequence, segment)) STRICT;
            CREATE INDEX event_by_run ON event(run, time);
            CREATE TABLE evidence (
                id INTEGER PRIMARY KEY, run TEXT NOT NULL, step TEXT NOT NULL, time REAL NOT NULL, body TEXT NOT NULL,
                UNIQUE (run, step, body)) STRICT;
            """
        ),
        (
            "2 what agents did by themselves",
            """
            CREATE TABLE agent_event (
                id INTEGER PRIMARY KEY, node TEXT NOT NULL, machine TEXT NOT NULL, generation INTEGER NOT NULL,
                sequence INTEGER NOT NULL, time REAL NOT NULL, skew REAL NOT NULL, received REAL NOT NULL,
                body TEXT NOT NULL, UNIQUE (node, machine, generation, sequence)) STRICT;
            """
        ),
        (
            "3 measurements of endpoints under load",
            """
            CREATE TABLE benchmark (
                id INTEGER PRIMARY KEY, side TEXT NOT NULL, time REAL NOT NULL, body TEXT NOT NULL) STRICT;
            """
        ),
    ]

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for (name, statements) in migrations {
            migrator.registerMigration(name) { try $0.execute(sql: statements) }
        }
        return migrator
    }
}
