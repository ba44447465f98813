import BasculeModel
import BasculeProviders
import Foundation
import Testing

/// The smallest move that has every part of one: a site of one page that takes notes, with a database, a cache, a name
/// and an edge, leaves the node `old` for the node `new`. It is there in seconds.
struct SmallMove {
    let scene: Scene
    /// The old node's address; its name server answers there.
    let address: String

    static let domain = "notes.example"

    /// Boots both nodes and sets the old world up. Nothing of it is Bascule's yet.
    static func make(in scene: Scene) async throws -> SmallMove {
        let packages = "\(Program.checkout)/Examples/girlycrea/saas/packages.txt"
        try scene.write("app/server.js", server)
        try scene.write("journeys/notes.yaml", journey)
        try scene.fleet(fleet())
        let up = try await scene.bascule(
            "lab", "up", "old", "new", "--packages", packages, deadline: .seconds(400))
        try #require(up.status == 0, "\(up.all)")
        let address = try await scene.lab.node("old").address
        _ = try await scene.run("old", "tee", "/root/setup.sh", stdin: setup)
        _ = try await scene.run("old", "mkdir", "-p", "/opt/notes")
        _ = try await scene.run("old", "tee", "/opt/notes/server.js", stdin: server)
        try await scene.shell("old", "sh /root/setup.sh \(address) \(domain)")
        let key = try await scene.shell("old", "cat /root/tsig")
        for (name, value) in [
            ("SOURCE_DATABASE_URL", "postgresql://migrator:moves@\(address):5432/notes?sslmode=require"),
            ("SOURCE_REDIS_URL", "redis://default:keeps@\(address):6379/0"), ("TSIG", "hmac-sha256:notes:\(key)"),
        ] {
            let set = try await scene.bascule("secret", "set", name, stdin: value)
            try #require(set.status == 0, "\(set.all)")
        }
        return SmallMove(scene: scene, address: address)
    }

    /// The fleet file but its first line.
    static func fleet(
        window: String = "60s", ifAlone: String = "rollback", approve: String = "manual", watch: String = "1s",
        newWrites: String = "loss"
    ) -> String {
        """
        nodes:
          old: {provider: lab, image: debian13}
          new: {provider: lab, image: debian13}
        topologies:
          single: {new: [database, cache, web, app]}
        topology: single
        services:
          postgresql: {databases: {notes: {owner: notes}}}
          redis: {durable: {maxMemory: 64MiB}}
          nginx: {}
        apps:
          notes:
            source: {path: ./app}
            runtime: systemd
            instances: 1
            packages: [node-pg, nodejs]
            start: node server.js
            port: 3000
            health: {path: /healthz, timeout: 30s}
            domains: [\(domain)]
            env: {NODE_PATH: /usr/share/nodejs, DATABASE_URL: !binding database.notes, REDIS_URL: !binding redis.durable}
            journeys: journeys/notes.yaml
        migration:
          edge: {node: old, certificate: /etc/ssl/certs/ssl-cert-snakeoil.pem, certificateKey: /etc/ssl/private/ssl-cert-snakeoil.key}
          sources:
            database: {postgres: !secret SOURCE_DATABASE_URL, into: notes}
            cache: {redis: !secret SOURCE_REDIS_URL, into: durable}
          dns:
            zone: \(domain)
            provider: rfc2136
            server: old
            tsig: !secret TSIG
            records: {\(domain): {A: new}}
            ttl: 1s
          window: {length: \(window)}
          rollback: {budget: 10s, watch: \(watch), ifAlone: \(ifAlone), newWrites: \(newWrites), when: {serverErrors: 50%}}
          approve: \(approve)

        """
    }

    // MARK: - What customers see

    /// Walks the customer's path by the name and gives what it said; it must have succeeded.
    func customer(_ location: SourceLocation = #_sourceLocation) async throws -> String {
        let walked = try await Command.run(
            [
                try #require(Program.path), "journey", "run", "\(scene.folder)/journeys/notes.yaml", "--url",
                "https://\(Self.domain)", "--name-server", address, "--insecure", "--json",
            ], environment: scene.environment())
        #expect(walked.status == 0, "\(walked.all)", sourceLocation: location)
        return walked.text
    }

    /// The status of the front page at the old edge, whatever the name says.
    func page() async throws -> String {
        try await scene.shell(
            "old",
            "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"127.0.0.1:80\") or die; print $s \"GET / HTTP/1.0\\r\\nHost: \(Self.domain)\\r\\n\\r\\n\"; print((split / /, <$s>)[1])'"
        )
    }

    /// Where the name points.
    func record() async throws -> String { try await scene.shell("old", "dig +short @\(address) \(Self.domain) A") }

    /// Who may write: the app's role in the database, and the app's user in Redis.
    func writers() async throws -> String {
        try await scene.shell(
            "old",
            """
            cd /; runuser -u postgres -- psql -AtX -d notes -c "SELECT rolcanlogin, has_table_privilege('notes', 'notes', 'INSERT') FROM pg_roles WHERE rolname = 'notes'"
            redis-cli -a keeps --no-auth-warning acl dryrun app set k v
            """)
    }

    /// The old system serves and takes writes as if nothing had been.
    func expectTheOldSystem(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await record() == address, sourceLocation: location)
        #expect(try await writers() == "t|t\nOK", sourceLocation: location)
        #expect(try await customer(location).contains("world-old"), sourceLocation: location)
        let edge = try await scene.run("old", "test", "-e", "/etc/nginx/conf.d/00-bascule-edge.conf")
        #expect(edge.status == 1, "the edge's part is gone", sourceLocation: location)
    }

    /// Waits until a node `old` that was just booted serves as it did before.
    func settle() async throws {
        let serves = try await eventually(within: 30, every: .milliseconds(100)) {
            guard
                try await scene.run("old", "dig", "+short", "+time=1", "+tries=1", "@\(address)", Self.domain).text
                    .contains(".")
            else { return false }
            return try await Command.run(
                [
                    try #require(Program.path), "journey", "run", "\(scene.folder)/journeys/notes.yaml", "--url",
                    "https://\(Self.domain)", "--name-server", address, "--insecure",
                ], environment: scene.environment()
            ).status == 0
        }
        #expect(serves, "the old world serves again after its boot")
    }

    // MARK: - What the conductor says

    /// What the conductor does now, from its own console.
    func conducting() async throws -> AgentStatus.Activity? {
        let said = try await scene.run("new", "/usr/local/lib/bascule/bascule-agent", "status", "--json")
        guard said.status == 0 else { return nil }
        return try JSONDecoder().decode(AgentStatus.self, from: Data(said.text.utf8)).activities.last { $0.conducted }
    }

    // MARK: - The old world

    private static let server = """
        const http = require('http'), {Pool} = require('pg');
        const pool = new Pool({connectionString: process.env.DATABASE_URL, max: 2});
        pool.on('error', () => {});
        const world = process.env.WORLD || 'new';
        const answer = (response, status, body) => {
            response.writeHead(status, {'content-type': 'application/json', 'x-served-by': 'world-' + world});
            response.end(JSON.stringify(body));
        };
        const server = http.createServer(async (request, response) => {
            try {
                const id = (request.url.match(/^\\/notes\\/(\\d+)$/) || [])[1];
                if (request.url === '/healthz') return answer(response, 200, {ok: true});
                if (request.method === 'POST') {
                    const row = await pool.query("INSERT INTO notes (text) VALUES ('note') RETURNING id");
                    return answer(response, 201, {id: row.rows[0].id});
                }
                if (request.method === 'DELETE') {
                    await pool.query('DELETE FROM notes WHERE id = $1', [id]);
                    return answer(response, 200, {});
                }
                const row = await pool.query('SELECT count(*)::int AS notes FROM notes');
                answer(response, 200, row.rows[0]);
            } catch (error) { answer(response, 500, {error: error.message}); }
        });
        server.listen(process.env.PORT, '127.0.0.1');
        process.on('SIGTERM', () => process.exit(0));

        """

    private static let journey = """
        name: notes
        servedBy: X-Served-By
        steps:
          - name: read
            request: {path: /}
            expect: {status: 200, contains: notes}
          - name: write
            write: true
            request: {path: /notes, json: {text: note}}
            expect: {status: 201}
            capture: {note: {json: id}}
        cleanup:
          - name: delete it
            request: {method: DELETE, path: "/notes/{{note}}"}
            expect: {status: 200}

        """

    /// Roles as a managed PostgreSQL has them, with one that the mover logs in as and that is no superuser; a Redis user
    /// for the app; Nginx in front; a name server whose zone one key may change.
    private static let setup = #"""
        set -eu
        address=$1 domain=$2
        export LC_ALL=C.UTF-8
        cd /
        echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind || true
        echo 'net.ipv4.ip_nonlocal_bind = 1' > /etc/sysctl.d/60-own.conf
        main=$(echo /etc/postgresql/*/main)
        printf "listen_addresses = 'localhost,%s'\nwal_level = logical\njit = off\n" $address > $main/conf.d/own.conf
        printf 'local all postgres peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all samenet scram-sha-256\n' > $main/pg_hba.conf
        systemctl restart postgresql@$(basename $(dirname $main))-main
        sql() { runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 "$@"; }
        sql -d postgres -c "CREATE ROLE notes LOGIN PASSWORD 'serves'" \
            -c "CREATE ROLE migrator LOGIN CREATEROLE REPLICATION BYPASSRLS PASSWORD 'moves'" \
            -c 'GRANT SET ON PARAMETER session_replication_role TO migrator' \
            -c 'GRANT pg_read_all_data, pg_signal_backend, pg_monitor TO migrator' \
            -c 'GRANT notes TO migrator WITH ADMIN TRUE, INHERIT TRUE, SET TRUE' \
            -c "CREATE DATABASE notes OWNER notes TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'" \
            -c 'REVOKE CONNECT, TEMPORARY ON DATABASE notes FROM PUBLIC' \
            -c 'GRANT CONNECT ON DATABASE notes TO notes, migrator' -c 'GRANT CREATE ON DATABASE notes TO migrator'
        sql -d notes -c 'SET ROLE notes' \
            -c 'CREATE TABLE notes (id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, text text NOT NULL)' \
            -c "INSERT INTO notes (text) SELECT 'note ' || n FROM generate_series(1, 500) n"
        printf 'bind 127.0.0.1 %s\nprotected-mode yes\nrequirepass keeps\nuser app on >serves ~* &* +@all -@admin\nmaxmemory-policy noeviction\n' $address > /etc/redis/own.conf
        chown redis:redis /etc/redis/own.conf
        grep -qx 'include /etc/redis/own.conf' /etc/redis/redis.conf || echo 'include /etc/redis/own.conf' >> /etc/redis/redis.conf
        systemctl enable -q postgresql redis-server nginx named; systemctl restart redis-server
        until redis-cli -a keeps --no-auth-warning ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
        for n in $(seq 50); do echo "SET session:$n value-$n"; done | redis-cli -a keeps --no-auth-warning > /dev/null
        cat > /etc/systemd/system/notes.service <<END
        [Service]
        User=www-data
        WorkingDirectory=/opt/notes
        Environment=WORLD=old PORT=3001 NODE_PATH=/usr/share/nodejs DATABASE_URL=postgresql://notes:serves@127.0.0.1:5432/notes
        ExecStart=/usr/bin/node server.js
        Restart=always
        RestartSec=100ms
        [Install]
        WantedBy=multi-user.target
        END
        systemctl daemon-reload
        systemctl enable -q --now notes
        cat > /etc/nginx/sites-enabled/notes.conf <<END
        server {
            listen 80;
            listen 443 ssl;
            server_name $domain;
            ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem;
            ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key;
            location / { proxy_pass http://127.0.0.1:3001; }
        }
        END
        rm -f /etc/nginx/sites-enabled/default
        systemctl restart nginx
        openssl rand -base64 32 > /root/tsig
        cat > /etc/bind/named.conf.options <<END
        options { directory "/var/cache/bind"; listen-on { 127.0.0.1; $address; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; };
        END
        cat > /etc/bind/named.conf.local <<END
        key "notes" { algorithm hmac-sha256; secret "$(cat /root/tsig)"; };
        zone "$domain" { type primary; file "/var/lib/bind/$domain.zone"; update-policy { grant notes name $domain. A AAAA; }; };
        END
        printf '$TTL 1\n@ IN SOA ns.%s. admin.%s. ( 1 3600 600 86400 1 )\n IN NS ns.%s.\n IN A %s\nns IN A %s\n' $domain $domain $domain $address $address > /var/lib/bind/$domain.zone
        chown bind:bind /var/lib/bind/$domain.zone
        systemctl restart named
        until [ "$(dig +short +time=1 +tries=1 @$address $domain A)" = $address ]; do sleep 0.05; done
        """#
}
