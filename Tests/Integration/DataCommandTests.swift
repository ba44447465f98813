import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The mover by itself, as somebody uses it who uses nothing else of Bascule: check, a copy that is cut on every
    /// side in the middle of a table, verify, one flipped bit, diff.
    @Suite(.serialized, .scene("data"), .enabled(if: Program.testsAll, "takes a minute: BASCULE_TEST_ALL=1"))
    struct DataCommandTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let fleet = """
            \(Sample.oneMove(from: "debian13"))
                database: {postgres: !secret SOURCE_DATABASE_URL, into: shop, jobs: 1}

            """

        /// 330,000 orders take 290 MiB: three ranges.
        private static let setup = #"""
            set -eu
            main=$(echo /etc/postgresql/*/main)
            printf "listen_addresses = 'localhost,%s'\n" $1 > $main/conf.d/own.conf
            printf 'local all postgres peer\nhost all all samenet scram-sha-256\n' > $main/pg_hba.conf
            systemctl restart postgresql@$(basename $(dirname $main))-main
            cd /
            runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 -c "ALTER ROLE postgres PASSWORD 'moves'" \
                -c "CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
            runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 -d shop -c 'SET synchronous_commit = off' \
                -c 'CREATE TABLE customers (id int PRIMARY KEY, name text)' \
                -c "INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 1000) i" \
                -c 'CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, receipt bytea)' \
                -c "INSERT INTO orders SELECT i, i % 1000 + 1, decode(repeat(md5(i::text), 48), 'hex') FROM generate_series(1, 330000) i" \
                -c 'CREATE INDEX ON orders (customer)' -c 'VACUUM ANALYZE'
            """#

        private func target(_ sql: String) async throws -> String {
            try await scene.shell("new", "cd /; runuser -u postgres -- psql -AtX -d shop -c \"\(sql)\"")
        }

        private static let ranges = "SELECT first, xid FROM bascule.ranges WHERE name LIKE '%orders%' ORDER BY first"

        @Test(.timeLimit(.minutes(10))) func aCopyThatIsCutOnEverySideGoesOnAndAFlippedBitIsNamed() async throws {
            try scene.fleet(Self.fleet)
            let packages = "\(Program.checkout)/Examples/girlycrea/saas/packages.txt"
            let up = try await scene.bascule("lab", "up", "old", "new", "--packages", packages, deadline: .seconds(400))
            try #require(up.status == 0, "\(up.all)")
            let address = try await scene.lab.node("old").address
            _ = try await scene.run("old", "tee", "/root/setup.sh", stdin: Self.setup)
            try await scene.shell("old", "sh /root/setup.sh \(address)")
            let url = "postgresql://postgres:moves@\(address):5432/shop?sslmode=require"
            let set = try await scene.bascule("secret", "set", "SOURCE_DATABASE_URL", stdin: url)
            try #require(set.status == 0, "\(set.all)")
            let installed = try await scene.bascule("apply", "--yes", "--through", "install", deadline: .seconds(400))
            try #require([0, 3].contains(installed.status), "\(installed.all)")

            let checked = try await scene.bascule("data", "check")
            try #require(checked.status == 0, "\(checked.all)")
            #expect(try await target("SELECT count(*) FROM pg_class WHERE relname = 'orders'") == "0")
            try await copyCutOnBothSides()

            let equal = try await scene.bascule("data", "verify")
            #expect(equal.status == 0 && equal.all.contains("331,000 rows"), "\(equal.all)")
            let flip = "UPDATE orders SET receipt = set_bit(receipt, 8, 1 - get_bit(receipt, 8)) WHERE id = 123457"
            #expect(try await target(flip) == "UPDATE 1")
            let verified = try await scene.bascule("data", "verify")
            #expect(verified.status == 2, "\(verified.all)")
            #expect(verified.all.contains("changed (123457)"), "\(verified.all)")
            #expect(verified.all.components(separatedBy: "changed (").count == 2, "only that: \(verified.all)")
            let compared = try await scene.bascule("data", "diff", "orders")
            #expect(compared.status == 2, "\(compared.all)")
            #expect(compared.all.contains("123457") && compared.all.contains("receipt"), "\(compared.all)")
            #expect(!compared.all.contains("    customer "), "only the column that differs: \(compared.all)")
        }

        /// The controller and the source's server are killed after the first range.
        private func copyCutOnBothSides() async throws {
            let run = try scene.begin("data", "copy", "--json")
            var first = ""
            let begun = try await eventually(within: 60, every: .milliseconds(50)) {
                guard try await target("SELECT to_regclass('bascule.ranges')") != "" else { return run.status != nil }
                first = try await target(Self.ranges)
                return !first.isEmpty || run.status != nil
            }
            try #require(begun && run.status == nil, "\(run.output.suffix(3000))")
            try await scene.shell(
                "old", "systemctl kill --signal=SIGKILL 'postgresql@*-main'; rm -f /var/run/postgresql/.s.PGSQL.5432*")
            run.kill9()
            _ = try await run.ended(within: 10)
            let cut = try await target(Self.ranges)
            #expect(cut.split(separator: "\n").count < 3, "cut in the middle of the table: \(cut)")
            try await scene.shell("old", "systemctl restart 'postgresql@*-main' || systemctl start postgresql")
            let again = try await scene.bascule("data", "copy", deadline: .seconds(300))
            try #require(again.status == 0, "\(again.all)")
            let ranges = try await target(Self.ranges)
            #expect(ranges.hasPrefix(first), "what was there is kept: \(first), then \(ranges)")
            #expect(ranges.split(separator: "\n").count == 3, "\(ranges)")
            #expect(try await target("SELECT count(*), sum(customer) FROM orders") == "330000|165165000")
        }
    }
}
