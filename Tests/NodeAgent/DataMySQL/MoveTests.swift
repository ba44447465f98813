import BasculeModel
import BasculeMySQL
import Testing

let needsServers = Comment(rawValue: "needs MariaDB and PostgreSQL's server binaries (mariadb-server, postgresql)")

/// Both servers are shared, so one test at a time, over all suites.
@Suite(.serialized, .enabled(if: Servers.areInstalled, needsServers))
struct MySQLToPostgres {}

extension MySQLToPostgres {
    @Suite struct MoveTests {
        @Test func aSmallShopGoesOver() throws {
            let crossing = try Crossing(
                "small",
                """
                CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(190) NOT NULL UNIQUE,
                    born DATE, created DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)) COMMENT 'the users';
                CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, user_id INT NOT NULL,
                    total DECIMAL(10,2) NOT NULL, note TEXT, KEY by_user (user_id),
                    CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
                INSERT INTO users VALUES (1, 'a@x.y', '2000-02-29', '2024-03-31 02:30:00.5'), (7, 'b@x.y', NULL, '1999-12-31 23:59:59.999');
                INSERT INTO orders VALUES (1, 7, 12.50, 'tab\\tand\\nline \\\\ é €'), (2, 1, 0, NULL);
                ALTER TABLE users AUTO_INCREMENT = 100;

                """)
            let report = try crossing.run(.copy)
            #expect(report.rows == 4)
            let check = try crossing.run(.verify)
            #expect(check.isEqual, "\(check.differences) \(check.tables)")
            #expect(
                try crossing.rows("SELECT id, user_id, total, note FROM orders ORDER BY 1") == [
                    ["1", "7", "12.50", "tab\tand\nline \\ é €"], ["2", "1", "0.00", nil],
                ])
            #expect(try crossing.scalar("INSERT INTO users (email) VALUES ('c@x.y') RETURNING id") == "100")
        }
    }
}
