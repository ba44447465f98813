import BasculeFleet
import BasculeModel
import Foundation
import Testing

@testable import BasculeCatalogue

/// Which base backups stay at a node that keeps copies, by the program that it gets.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "needs python3"))
struct RetentionTests {
    private static let fleet = """
        fleet: copies
        nodes: {a: {provider: lab, image: debian12}, vault: {provider: lab, image: debian12}}
        topologies: {single: {a: [database, backup], vault: []}}
        services:
          postgresql: {}
          backup: {targets: {away: {node: vault}}}

        """

    private static let weeks = [
        "20261101-023000F", "20261101-023000F_20261102-023000D", "20261108-023000F",
        "20261108-023000F_20261114-023000D",
        "20261115-023000F", "20261115-023000F_20261121-023000D", "20261122-023000F",
    ]

    /// What stays of which labels with how many days, on 22 November 2026 at noon; nil where it is refused.
    static let cases: [(labels: [String], days: Int, stay: [String]?)] = [
        (weeks, 7, Array(weeks.suffix(3))),
        // From the one of the 8th the first of these days is restored.
        (weeks, 8, Array(weeks.suffix(5))),
        (weeks, 6, Array(weeks.suffix(3))),
        (weeks, 365, weeks),
        (weeks, 0, Array(weeks.suffix(1))),
        (Array(weeks.prefix(2)), 0, Array(weeks.prefix(2))),
        // Nothing that could be restored without what it depends on is judged.
        ([weeks[1]], 0, [weeks[1]]),
        ([], 7, []),
        (weeks + ["20270101-000000F"], 7, nil),
    ]

    /// The program's functions, without what its words call.
    private func library() throws -> String {
        let compiled = try CatalogueFolder().compile(Self.fleet)
        let spec = compiled.resources["vault"]?.lazy.compactMap { item -> FileSpec? in
            guard case .file(let file) = item.resource, file.path.hasSuffix("/backup-vault") else { return nil }
            return file
        }.first
        let text = try #require(spec).content.display
        return String(text[..<(try #require(text.range(of: "\nwords = sys.argv[1:]")).lowerBound)])
    }

    /// The index, which its node writes, says that only the newest segment is needed; and whoever asked for the first
    /// prune never heard what came of it.
    @Test(.enabled(if: getuid() == 0, "what has arrived is root's"))
    func noIndexIsBelievedAndAPruneThatWasCutShortIsNoHindrance() throws {
        let folder = NSTemporaryDirectory() + "retention-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let asked = """

            ROOT, seal = sys.argv[1], lambda: None
            def at(day): return seconds_of(f"202411{day:02}-000000F")
            def look(client, cluster, config, scratch, keep):
                newest = {"start": "000000010000000000000004", "stop": "000000010000000000000004"}
                return {one: {"label": one, "archive": newest, "archive-id": "15-1", "error": False} for one in keep}
            wal = f"{ROOT}/a/12345/archive/main/15-1/0000000100000000"
            os.makedirs(wal)
            for number, day in ((1, 1), (2, 10), (3, 16), (4, 20)):
                path = f"{wal}/00000001000000000000000{number}-{'a' * 40}.zst"
                open(path, "w").close()
                os.utime(path, (at(day), at(day)))
            for label in ("20241101-000000F", "20241115-000000F"):
                os.makedirs(f"{ROOT}/a/12345/backup/main/{label}")
                open(f"{ROOT}/a/12345/backup/main/{label}/backup.manifest", "w").close()
            record = ["12345/20241101-000000F", "12345/20241115-000000F"]
            def said(identifier, record):
                prune("a", identifier, 0, "/nonexistent", record)
                report = recall("a")
                return [report["refusal"] and report["refusal"]["code"], report["kept"], report["pruned"]]
            out = [said("1", record), sorted(name[23] for name in os.listdir(wal)), said("2", record)]
            out.append(said("3", record + ["12345/20240901-000000F"]))
            os.makedirs(f"{ROOT}/a/99999")
            os.symlink("../12345/archive", f"{ROOT}/a/99999/archive")
            out.append(said("4", record[1:]))
            print(json.dumps(out))
            """
        let said = try run(["/usr/bin/python3", "-I", "-c", try library() + asked, folder])
        #expect(said.status == 0)
        let (old, new) = (#""12345/20241101-000000F""#, #""12345/20241115-000000F""#)
        #expect(
            said.output.trimmingCharacters(in: .whitespacesAndNewlines) == """
                [[null, [\(new)], [\(old)]], ["3", "4"], [null, [\(new)], [\(old)]], \
                ["prune-backup-missing", [\(old), \(new), "12345/20240901-000000F"], [\(old)]], \
                ["prune-check-failed", [\(new)], []]]
                """)
    }

    @Test(arguments: cases)
    func everyMomentOfTheDaysIsKeptAndWhatDependsOnIt(_ labels: [String], _ days: Int, _ stay: [String]?) throws {
        let asked = """

            labels, days = json.loads(sys.argv[1]), int(sys.argv[2])
            now = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc).timestamp()
            try:
                print(json.dumps(chosen(labels, days, now)))
            except Refused as refusal:
                print("null" if refusal.code == "prune-check-failed" else refusal)
            """
        let given = String(decoding: try JSONEncoder().encode(labels), as: UTF8.self)
        let said = try run(["/usr/bin/python3", "-I", "-c", try library() + asked, given, "\(days)"])
        #expect(said.status == 0)
        #expect(try JSONDecoder().decode([String]?.self, from: Data(said.output.utf8)) == stay)
    }
}
