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

    @Test(arguments: cases)
    func everyMomentOfTheDaysIsKeptAndWhatDependsOnIt(_ labels: [String], _ days: Int, _ stay: [String]?) throws {
        let compiled = try CatalogueFolder().compile(Self.fleet)
        let spec = compiled.resources["vault"]?.lazy.compactMap { item -> FileSpec? in
            guard case .file(let file) = item.resource, file.path.hasSuffix("/backup-vault") else { return nil }
            return file
        }.first
        let text = try #require(spec).content.display
        let library = try #require(text.range(of: "\nwords = sys.argv[1:]")).lowerBound
        let asked = """

            labels, days = json.loads(sys.argv[1]), int(sys.argv[2])
            now = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc).timestamp()
            try:
                print(json.dumps(chosen(labels, days, now)))
            except Refused as refusal:
                print("null" if refusal.code == "prune-check-failed" else refusal)
            """
        let given = String(decoding: try JSONEncoder().encode(labels), as: UTF8.self)
        let said = try run(["/usr/bin/python3", "-I", "-c", String(text[..<library]) + asked, given, "\(days)"])
        #expect(said.status == 0)
        #expect(try JSONDecoder().decode([String]?.self, from: Data(said.output.utf8)) == stay)
    }
}
