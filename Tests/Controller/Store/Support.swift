import BasculeModel
import Foundation

@testable import BasculeStore

/// A directory with one fleet's store, removed when it goes.
final class StoreFolder {
    let directory: String
    var path: String { directory + "/girlycrea.db" }

    init() throws {
        directory = NSTemporaryDirectory() + "bascule-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open() throws -> Store { try Store(path: path) }

    /// The bytes of every file of the store. Only when it is closed: SQLite's locks do not survive this.
    func bytes() throws -> [String: Data] {
        try FileManager.default.contentsOfDirectory(atPath: directory).reduce(into: [:]) {
            $0[$1] = try Data(contentsOf: URL(fileURLWithPath: directory + "/" + $1))
        }
    }
}

/// The code of what a body throws; nil where it throws nothing.
func code(_ body: () throws -> some Any) -> ErrorCode? {
    do {
        _ = try body()
        return nil
    } catch { return (error as? BasculeError)?.code ?? "another-error" }
}

func plan(_ id: PlanID, steps: [Step] = []) -> Plan {
    Plan(
        id: id, fleet: "girlycrea", topology: "single", revision: "ab", created: 12.5, steps: steps,
        satisfied: ["n/file:/a": "same"])
}

func segment(_ id: SegmentID, run: RunID, serial: Int) -> Segment {
    Segment(id: id, plan: "p1", run: run, node: "vps1", epoch: 2, serial: serial, steps: [], onFailure: .compensate)
}

func finished(_ sequence: Int, _ evidence: [Evidence] = [], time: Double = 1) -> JournalRecord {
    JournalRecord(
        sequence: sequence, time: time, segment: "s1",
        event: .finished("step", StepResult(.done, "ok", evidence: evidence)))
}
