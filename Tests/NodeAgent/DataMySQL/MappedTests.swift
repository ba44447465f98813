import BasculeModel
import Testing

extension MySQLToPostgres {
    @Suite struct MappedTests {
        private static let source = """
            CREATE TABLE User (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(191) NOT NULL UNIQUE,
                passwordHash VARCHAR(100), isAdmin TINYINT(1) NOT NULL DEFAULT 0, createdAt DATETIME(3) NOT NULL,
                role ENUM('USER','ADMIN') NOT NULL DEFAULT 'USER', meta JSON, balance DECIMAL(65,30) NOT NULL);
            CREATE TABLE Trade (id VARCHAR(191) PRIMARY KEY, userId INT NOT NULL, at DATETIME(3) NOT NULL,
                CONSTRAINT Trade_userId_fkey FOREIGN KEY (userId) REFERENCES User (id));
            CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY);
            CREATE VIEW v AS SELECT 1;
            INSERT INTO User VALUES (1, 'a@x.y', '$2b$10$abcdefghijklmnopqrstuv', 1, '2024-01-01 10:00:00.123', 'ADMIN', '{"b":1,"a":2}', 1.5),
                (2, 'b@x.y', NULL, 0, '2024-01-01 10:00:00', 'USER', NULL, 0);
            INSERT INTO Trade VALUES ('clx1', 2, '2024-05-05 05:05:05.005');

            """
        private static let prisma = """
            SET ROLE shop; SET search_path = public;
            CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN');
            CREATE TABLE "User" (id SERIAL PRIMARY KEY, email TEXT NOT NULL, "passwordHash" TEXT,
                "isAdmin" BOOLEAN NOT NULL DEFAULT false, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
                role "Role" NOT NULL DEFAULT 'USER', meta JSONB, balance DECIMAL(65,30) NOT NULL, user_metadata JSONB);
            CREATE UNIQUE INDEX "User_email_key" ON "User" (email);
            CREATE TABLE "Trade" (id TEXT PRIMARY KEY, "userId" INTEGER NOT NULL, at TIMESTAMP(3) NOT NULL);
            ALTER TABLE "Trade" ADD CONSTRAINT "Trade_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" (id);
            CREATE TABLE "_prisma_migrations" (id VARCHAR(36) PRIMARY KEY);
            INSERT INTO "_prisma_migrations" VALUES ('theirs');
            """

        private func crossing(_ name: String, changing from: String = "", to: String = "") throws -> Crossing {
            let sql = from.isEmpty ? Self.prisma : Self.prisma.replacing(from, with: to)
            // Both worlds have a schema `public` that the app may write to.
            var crossing = try Crossing(name, Self.source)
            let target = try crossing.target.connect(name)
            try target.query("GRANT CREATE, USAGE ON SCHEMA public TO shop")
            try target.script(sql)
            crossing.move.users = MySQLUsers(
                table: "User", email: "email", password: "passwordHash", metadata: "user_metadata")
            return crossing
        }

        @Test func rowsGoIntoTheTablesOfTheAppsOwnMigrations() throws {
            let crossing = try crossing("prisma")
            let report = try crossing.run(.copy)
            let warned = Set(report.findings.map(\.code))
            #expect(warned.isSuperset(of: ["view-not-carried", "bookkeeping-left", "users-passwords"]))
            let passwords = report.findings.first { $0.code == "users-passwords" }?.message
            #expect(passwords == "Password hashes: 1 bcrypt, 1 none")
            #expect(try crossing.run(.verify).isEqual)
            #expect(try crossing.rows("SELECT * FROM \"_prisma_migrations\"") == [["theirs"]])
            #expect(
                try crossing.rows("SELECT \"isAdmin\", role, balance::float8, \"createdAt\" FROM \"User\" ORDER BY id")
                    == [
                        ["t", "ADMIN", "1.5", "2024-01-01 10:00:00.123"], ["f", "USER", "0", "2024-01-01 10:00:00"],
                    ])
            #expect(
                try crossing.rows(
                    "SELECT user_metadata->>'migratedFrom', user_metadata->>'migratedId' FROM \"User\" ORDER BY id")
                    == [["mysql:legacy", "1"], ["mysql:legacy", "2"]])
            let next = "INSERT INTO \"User\" (email, balance) VALUES ('n', 1) RETURNING id"
            #expect(try crossing.scalar(next) == "3")
        }

        @Test func whatDoesNotFitIsRefusedByName() throws {
            for (from, to, code) in [
                ("meta JSONB", "meta INTEGER", "type-does-not-fit"),
                ("\"isAdmin\" BOOLEAN", "admin BOOLEAN", "column-missing-at-target"),
                ("user_metadata JSONB", "user_metadata JSONB, tenant INT NOT NULL", "column-missing-at-source"),
            ] {
                let one = try crossing("misfit", changing: from, to: to)
                let codes = Set(try one.run(.preflight).refusals.map(\.code))
                #expect(codes.contains(code), "\(from): \(codes)")
            }
            let occupied = try crossing("occupied")
            try occupied.target.connect("occupied").query(
                "INSERT INTO \"User\" (email, balance) VALUES ('z', 1)")
            #expect(occupied.refusal(.copy)?.cause?.contains("target-not-empty") == true)
            let label = try crossing("label", changing: "'USER', 'ADMIN'", to: "'USER', 'BOSS'")
            #expect(label.refusal(.copy)?.cause?.contains("User id=1 role = 'ADMIN': unknown-label") == true)
            #expect(try label.scalar("SELECT count(*) FROM \"User\"") == "0")
            let narrow = try crossing(
                "narrow", changing: "\"createdAt\" TIMESTAMP(3)", to: "\"createdAt\" TIMESTAMP(0)")
            #expect(narrow.refusal(.copy)?.cause?.contains("fraction-lost") == true)
        }

        @Test func usersThatCollideAreReportedFirst() throws {
            let crossing = try crossing("collide")
            try crossing.source.connect("collide").query(
                "ALTER TABLE User MODIFY email VARCHAR(191) COLLATE utf8mb4_bin NOT NULL")
            try crossing.source.connect("collide").query("UPDATE User SET email = 'A@X.Y' WHERE id = 2")
            let findings = try crossing.run(.preflight).refusals
            #expect(findings.map(\.code) == ["users-collide"] && findings[0].message.contains("'a@x.y'"))
        }
    }
}
