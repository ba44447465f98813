import BasculeModel
import Foundation
import Testing

@testable import BasculeResources

/// PostgreSQL's clusters as their files tell of them.
@Suite struct PostgresClusterTests {
    private let top = NSTemporaryDirectory() + "bascule-clusters-\(UUID().uuidString)"

    private func make(_ files: [String: String]) throws {
        for (path, text) in files {
            let url = URL(fileURLWithPath: "\(top)/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    private func found() -> [String] {
        PostgresClusters.found(settings: "\(top)/etc", data: "\(top)/lib").map {
            "\($0.version) \($0.name) \($0.folder.dropFirst(top.count)) \($0.holdsData)"
        }
    }

    @Test func theyAreFoundWithWhatTheyHold() throws {
        defer { try? FileManager.default.removeItem(atPath: top) }
        #expect(found().isEmpty)
        try make([
            // As an initdb leaves it.
            "lib/15/main/PG_VERSION": "15\n", "lib/15/main/base/5/1259_fsm": "", "lib/15/main/base/1/PG_VERSION": "",
            // A database of one's own; the settings are gone.
            "lib/9.6/old/PG_VERSION": "9.6\n", "lib/9.6/old/base/16384/1259": "",
            // Somewhere else, with a table in the database postgres.
            "etc/17/main/postgresql.conf":
                "#data_directory = '/no'\ndata_directory = '\(top)/disk/pg'\t# moved\n",
            "disk/pg/PG_VERSION": "17\n", "disk/pg/base/5/16391.1": "",
            // No clusters.
            "etc/16/main/postgresql.conf": "x", "lib/tmp/main/PG_VERSION": "", "lib/.psql_history": "",
        ])
        #expect(
            found() == [
                "15 main /lib/15/main false", "17 main /disk/pg true", "9 old /lib/9.6/old true",
            ])
    }
}
