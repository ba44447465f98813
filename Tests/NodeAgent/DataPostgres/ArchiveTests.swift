import BasculeModel
import BasculePostgres
import Foundation
import Testing

@testable import BasculeData

extension AgainstServers {
    /// The archive of a database as it was before a cutover.
    @Suite struct ArchiveTests {
        private func archive(_ pair: Pair, into folder: String) throws -> ArchiveReport {
            let task = ArchiveTask(name: pair.name, source: .postgres(pair.move), folder: folder, isFenced: true)
            return try Archiver.run(task, resolve: { _ in pair.url() })
        }

        /// Read back with psql and nothing else it is the same database: its own archive is the same, byte for byte.
        @Test func everyKindOfObjectComesBack() throws {
            let pair = try Pair("kept", everyKind)
            let folder = URL.temporaryDirectory.appending(path: "bascule-kept-\(getpid())")
            defer { try? FileManager.default.removeItem(at: folder) }
            let first = try archive(pair, into: folder.path + "/first")
            #expect(first.faults.isEmpty && first.count > 6000 && first.count == first.expected, "\(first)")
            let admin = try pair.source.connect("postgres")
            try admin.query("DROP DATABASE IF EXISTS kept_again WITH (FORCE)")
            try admin.query("CREATE DATABASE kept_again TEMPLATE template0")
            defer { _ = try? admin.query("DROP DATABASE kept_again WITH (FORCE)") }
            let restore = """
                cd '\(folder.path)/first' && psql -Xq -v ON_ERROR_STOP=1 -h '\(pair.source.socket)' -p \(pair.source.port) \
                -U postgres -d kept_again -f restore.sql
                """
            let ending = try FilesCommand(program: "sh", arguments: ["-c", restore]).run { _ in }
            #expect(ending.status == 0, "\(String(decoding: ending.complaint, as: UTF8.self))")
            let target = try pair.source.connect("kept_again")
            #expect(try target.query("SELECT count(*) FROM users").scalar == "501")
            #expect(try target.query("SELECT n FROM mv").scalar == "5000")
            let again = ArchiveTask(
                name: "again", source: .postgres(pair.move), folder: folder.path + "/again", isFenced: true)
            let url = Secret(pair.url().reveal().replacing("/kept", with: "/kept_again"))
            let second = try Archiver.run(again, resolve: { _ in url })
            #expect(second.count == first.count && second.faults.isEmpty)
            let (one, other) = (try sums(folder, "first"), try sums(folder, "again"))
            #expect(one.count > 10 && one == other)
        }

        /// Each table's digest, whatever its number.
        private func sums(_ folder: URL, _ name: String) throws -> [Substring] {
            try String(contentsOf: folder.appending(path: "\(name)/SHA256SUMS"), encoding: .utf8)
                .split(separator: "\n").filter { $0.contains("data/") }.map { $0.prefix(64) }.sorted()
        }

        @Test(arguments: [
            (Int64(10), Int64(10), true, 0), (9, 10, true, 1), (11, 10, true, 1), (9, 10, false, 0), (4, 10, false, 1),
        ])
        func aCountThatIsOffIsAFault(count: Int64, expected: Int64, isFenced: Bool, faults: Int) {
            let counted = Archiver.Count(unit: "rows", count: count, expected: expected, sourceBytes: 0)
            #expect(counted.missing(isFenced: isFenced).count == faults)
        }
    }
}
