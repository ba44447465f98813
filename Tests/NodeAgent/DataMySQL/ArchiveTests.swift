import BasculeModel
import BasculeMySQL
import Foundation
import Testing

@testable import BasculeData

extension MySQLToPostgres {
    /// The archive of a MySQL database as it was before a cutover.
    @Suite struct ArchiveTests {
        /// Read back with the client and nothing else it holds the same rows, views, triggers and routines.
        @Test func everyTableComesBack() throws {
            let crossing = try Crossing("kept", pitfallSchema)
            try crossing.source.script(
                "kept",
                """
                CREATE VIEW shown AS SELECT id, email FROM people;
                CREATE TRIGGER told BEFORE INSERT ON isam FOR EACH ROW SET NEW.id = NEW.id;
                CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1;
                CREATE TABLE versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
                INSERT INTO versioned VALUES (1, 1), (2, 2);
                UPDATE versioned SET v = 3 WHERE id = 1;

                """)
            let folder = URL.temporaryDirectory.appending(path: "bascule-kept-\(getpid())-my").path
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let task = ArchiveTask(name: "legacy", source: .mysql("SOURCE"), folder: folder, isFenced: true)
            let url = Secret(crossing.source.url("kept").reveal() + "?tls=off")
            let report = try Archiver.run(task, resolve: { _ in url })
            #expect(report.faults.isEmpty && report.count == report.expected && report.count > 6, "\(report)")
            let root = try crossing.source.connect()
            try root.query("DROP DATABASE IF EXISTS kept_again")
            try root.query("CREATE DATABASE kept_again")
            let restore =
                "mariadb --no-defaults -uroot --socket='\(crossing.source.socket)' kept_again < '\(folder)/dump.sql'"
            #expect(try FilesCommand(program: "sh", arguments: ["-c", restore]).run { _ in }.status == 0)
            let tables = try root.query(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'kept' AND TABLE_TYPE <> 'VIEW'"
            ).compactMap { $0[0] }
            #expect(tables.count == Int(report.count))
            // Of a versioned table the times belong to the sum.
            for table in tables where table != "versioned" {
                let sums = try ["kept", "kept_again"].map { try root.query("CHECKSUM TABLE \($0).`\(table)`")[0][1] }
                #expect(sums[0] == sums[1] && sums[0] != nil, "\(table): \(sums)")
            }
            #expect(try root.query("SELECT kept_again.one(), COUNT(*) > 0 FROM kept_again.shown") == [["1", "1"]])
            #expect(try root.query("SELECT id, v FROM kept_again.versioned ORDER BY id") == [["1", "3"], ["2", "2"]])
            let triggers = "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'kept_again'"
            #expect(try root.query(triggers) != [["0"]])
            try root.query("DROP DATABASE kept_again")
            // Nothing of it is kept where it does not come to its end, and what was there stays.
            let broken = Secret(crossing.source.url("absent").reveal() + "?tls=off")
            #expect(throws: BasculeError.self) { try Archiver.run(task, resolve: { _ in broken }) }
            #expect(FileManager.default.fileExists(atPath: "\(folder)/dump.sql"))
            #expect(!FileManager.default.fileExists(atPath: folder + ".partial"))
        }

        @Test(arguments: [
            ("CREATE TABLE `a` (\n-- Dump completed on x\n", Int64(9), Int64(16 << 10), 1, [String]()),
            ("CREATE TABLE `a` (\nCREATE TABLE `b` (\n", 9, 0, 2, ["the dump has no end (-- Dump completed)"]),
            ("-- Dump completed\n", 1 << 20, 100 << 20, 0, ["1 MiB dumped of 100 MiB at the source"]),
            ("-- Dump completed\n", 6 << 20, 100 << 20, 0, []),
        ])
        func aDumpThatIsOffIsAFault(text: String, dumped: Int64, held: Int64, tables: Int, faults: [String]) {
            var scan = MySQLArchive.Scan()
            // In pieces, as it comes.
            for byte in text.utf8 { scan.take([byte]) }
            #expect(Int(scan.tables) == tables && scan.faults(dumped: dumped, held: held) == faults)
        }
    }
}
