import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// A shop on MariaDB leaves its node for a PostgreSQL of Bascule's: copy while it serves, fence, second pass, proof,
    /// T0.
    @Suite(
        .serialized, .scene("mysqlmove"),
        .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct MySQLMoveTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static func fleet(approve: String) -> String {
            """
            \(Sample.oneMove(from: "debian12"))
                legacy:
                  mysql: !secret SOURCE_MYSQL_URL
                  into: shop
                  rules: {orders.placed: timestamptz Europe/Paris}
                  users: {table: users, email: email, password: hash, metadata: migration}
              window: {length: 60s}
              rollback: {budget: 10s, watch: 1s, ifAlone: rollback}
              approve: \(approve)

            """
        }

        private static let setup = """
            set -eu
            export DEBIAN_FRONTEND=noninteractive
            apt-get -qq update >/dev/null
            apt-get -qq install -y --no-install-recommends mariadb-server >/dev/null 2>&1
            printf '[mysqld]\\nbind-address = 0.0.0.0\\n' > /etc/mysql/mariadb.conf.d/99-own.cnf
            systemctl restart mariadb
            mariadb <<END
            CREATE DATABASE shop; USE shop;
            CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(190) NOT NULL UNIQUE, hash CHAR(60));
            CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, user INT NOT NULL, placed DATETIME NOT NULL,
                paid TINYINT(1) NOT NULL, total DECIMAL(10,2), FOREIGN KEY (user) REFERENCES users (id));
            INSERT INTO users (email) SELECT CONCAT('u', seq, '@x.y') FROM seq_1_to_500;
            INSERT INTO orders (user, placed, paid, total) SELECT 1 + seq % 500, '2024-07-01 12:00:00', seq % 2, seq / 7 FROM seq_1_to_5000;
            CREATE USER app IDENTIFIED BY 'serves'; GRANT ALL PRIVILEGES ON shop.* TO app;
            CREATE USER mover IDENTIFIED BY 'moves'; GRANT ALL PRIVILEGES ON *.* TO mover WITH GRANT OPTION;
            END
            """

        private func app(_ sql: String) async throws -> CommandResult {
            try await scene.run("old", "mariadb", "-h", "127.0.0.1", "-uapp", "-pserves", "-N", "shop", "-e", sql)
        }

        private func target(_ sql: String) async throws -> String {
            try await scene.shell("new", "cd /; runuser -u postgres -- psql -AtX -d shop -c \"\(sql)\"")
        }

        @Test(.timeLimit(.minutes(15))) func aShopLeavesMySQL() async throws {
            try scene.fleet(Self.fleet(approve: "manual"))
            let up = try await scene.bascule("lab", "up", "old", "new", deadline: .seconds(400))
            try #require(up.status == 0, "\(up.all)")
            let address = try await scene.lab.node("old").address
            _ = try await scene.run("old", "tee", "/root/setup.sh", stdin: Self.setup)
            try await scene.shell("old", "sh /root/setup.sh")
            let url = "mysql://mover:moves@\(address):3306/shop?tls=off"
            let set = try await scene.bascule("secret", "set", "SOURCE_MYSQL_URL", stdin: url)
            try #require(set.status == 0, "\(set.all)")
            let copied = try await scene.bascule("apply", "--yes", "--through", "copy", deadline: .seconds(400))
            try #require(copied.status == 3, "\(copied.all)")
            #expect(try await target("SELECT count(*), sum(total) FROM orders") == "5000|1786071.43")
            // The old shop goes on: what it writes from now on is for the second pass.
            let written = try await app(
                "INSERT INTO orders (user, placed, paid) VALUES (7, '2024-01-01 12:00:00', 1); UPDATE users SET email = 'new@x.y' WHERE id = 9"
            )
            #expect(written.status == 0, "\(written.all)")
            try await goesBackOnANoGo()
            try scene.fleet(Self.fleet(approve: "auto"))
            try await goesBackAfterT0()
            let done = try await scene.bascule("apply", "--yes", deadline: .seconds(400))
            try #require(done.status == 0, "\(done.all)")
            #expect(try await target("SELECT count(*) FROM orders") == "5001")
            #expect(try await target("SELECT email FROM users WHERE id = 9") == "new@x.y")
            #expect(
                try await target("SELECT placed AT TIME ZONE 'UTC', paid FROM orders ORDER BY id DESC LIMIT 1")
                    == "2024-01-01 11:00:00|t")
            #expect(
                try await target("SELECT count(*) FROM users WHERE migration->>'migratedFrom' = 'mysql:legacy'")
                    == "500")
            // The counter goes on where the source's was.
            // The fence has locked root, too.
            let counter = try await scene.shell(
                "old",
                "mariadb -h 127.0.0.1 -umover -pmoves -N -e 'SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = \"shop\" AND TABLE_NAME = \"users\"'"
            )
            let next = try await target("INSERT INTO users (email) VALUES ('N@x.y') RETURNING id")
            #expect(next.split(separator: "\n").first.map(String.init) == counter)
            let refused = try await app("INSERT INTO users (email) VALUES ('late@x.y')")
            #expect(refused.status != 0 && refused.all.contains("INSERT command denied"), "\(refused.all)")
            #expect(try await target("SELECT to_regnamespace('bascule') IS NULL") == "t")
        }

        /// What was written since is given up, and said so; the old shop takes writes again.
        private func goesBackAfterT0() async throws {
            let opened = try await scene.bascule("apply", "--yes", "--through", "watch", deadline: .seconds(400))
            #expect(opened.status == 3, "\(opened.all)")
            #expect(try await app("UPDATE users SET hash = 'y' WHERE id = 2").status != 0)
            // Customers' writes of the new system.
            _ = try await target("UPDATE users SET hash = 'new side' WHERE id = 3")
            _ = try await target(#"INSERT INTO orders (id, \"user\", placed, paid) VALUES (9999, 3, now(), true)"#)
            let asked = try await scene.bascule("rollback", "--yes", deadline: .seconds(120))
            #expect(asked.status != 0 && asked.all.contains("rollback-loses"), "\(asked.all)")
            let back = try await scene.bascule(
                "rollback", "--yes", "--lose-new-writes", deadline: .seconds(120))
            #expect(back.status == 0, "\(back.all)")
            let written = try await app("UPDATE users SET hash = 'z' WHERE id = 2")
            #expect(written.status == 0, "\(written.all)")
            // They stay, are named with their numbers, and are replaced only when that is said.
            let refused = try await scene.bascule("apply", "--yes", deadline: .seconds(400))
            #expect(refused.status == 1 && refused.all.contains("written-since-t0"), "\(refused.all)")
            #expect(
                refused.all.contains("users: 1 rows were written")
                    && refused.all.contains("orders: 1 rows were written"),
                "\(refused.all)")
            #expect(try await target("SELECT count(*) FROM orders WHERE id = 9999") == "1")
            try scene.fleet(
                Self.fleet(approve: "auto").replacingOccurrences(
                    of: "      into: shop\n", with: "      into: shop\n      accept: [written-since-t0]\n"))
        }

        /// Unanswered means no: the old shop takes writes again.
        private func goesBackOnANoGo() async throws {
            let fleet = Self.fleet(approve: "manual").replacingOccurrences(of: "length: 60s", with: "length: 20s")
            try scene.fleet(fleet)
            let back = try await scene.bascule("apply", "--yes", deadline: .seconds(400))
            #expect(back.status == 4, "\(back.all)")
            #expect(back.all.contains("attempted writes refused"), "\(back.all)")
            let written = try await app("UPDATE users SET hash = 'x' WHERE id = 1")
            #expect(written.status == 0, "\(written.all)")
        }
    }
}
