import BasculeModel
import BasculeProtocol
import BasculeResources
import FoundationEssentials
import Glibc
import Synchronization

/// The configuration of before each segment: a list of captures, written before the change that it can undo.
struct SnapshotKeeper: Sendable {
    struct Snapshot: Codable {
        var plan: PlanID
        var time: Double
        var captures: [ResourceID: Capture]
        /// In the order in which they were taken.
        var order: [ResourceID]
    }

    let paths: AgentPaths
    /// Steps of one segment run side by side and share one snapshot.
    private static let lock = Mutex(())

    private func path(_ segment: SegmentID) -> String { "\(paths.snapshots)/\(segment.rawValue).json" }

    /// Adds what stands now; a resource that this segment has captured before keeps its first capture.
    func add(_ captures: [(ResourceID, Capture)], to segment: SegmentID, of plan: PlanID) throws {
        try Self.lock.withLock { _ in
            var snapshot =
                try DurableFile.load(Snapshot.self, from: path(segment))
                ?? Snapshot(plan: plan, time: WallClock.now(), captures: [:], order: [])
            for (id, capture) in captures where snapshot.captures[id] == nil {
                snapshot.captures[id] = capture
                snapshot.order.append(id)
            }
            try DurableFile.save(snapshot, to: path(segment), kind: "snapshot")
        }
    }

    /// All snapshots, oldest first.
    func list() throws -> [SnapshotInfo] {
        guard let directory = opendir(paths.snapshots) else { return [] }
        defer { closedir(directory) }
        var found: [SnapshotInfo] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".json"),
                let snapshot = try DurableFile.load(Snapshot.self, from: "\(paths.snapshots)/\(name)")
            else { continue }
            found.append(
                SnapshotInfo(
                    segment: SegmentID(String(name.dropLast(5))), plan: snapshot.plan, time: snapshot.time,
                    resources: snapshot.order))
        }
        return found.sorted { $0.time < $1.time }
    }

    /// What a segment's snapshot holds; empty where there is none.
    func resources(of segment: SegmentID) throws -> [ResourceID] {
        try DurableFile.load(Snapshot.self, from: path(segment))?.order ?? []
    }

    /// Puts back what stood before a segment, newest change first; gives what became of each resource.
    func restore(_ segment: SegmentID, context: NodeContext) throws -> [ResourceID: String] {
        guard let snapshot = try DurableFile.load(Snapshot.self, from: path(segment)) else {
            throw BasculeError(
                .unknownSegment, "this node has no configuration snapshot of \(segment)",
                hint: "bascule snapshot list shows what there is")
        }
        var results: [ResourceID: String] = [:]
        for id in snapshot.order.reversed() {
            guard let capture = snapshot.captures[id] else { continue }
            do {
                Failpoint.hit("agent.restore.before")
                try ResourceKeeper.restore(capture, context)
                Failpoint.hit("agent.restore.after")
                results[id] = "restored"
            } catch {
                results[id] = "not restored: \(BasculeError.wrapping(error, "unexpected").message)"
            }
        }
        return results
    }
}
