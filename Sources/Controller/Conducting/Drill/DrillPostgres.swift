import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import Foundation

/// PostgreSQL in a drill: from another node's copy of its base backups and WAL, or a bucket's, up to the last write that
/// got there.
extension Drill {
    /// What survives the node, as the throwaway one reaches it.
    struct DatabaseCopy {
        /// The target's name, and for people where that is.
        var name, place: String
        /// The node that keeps it; nil for a bucket.
        var vault: NodeName?
        var survivor: PostgresSurvivor
    }

    /// What had arrived at the other node when the host was lost, of one cluster.
    struct Arrived: Decodable {
        struct Cluster: Decodable {
            /// The newest segment by timeline.
            var last: [String: String]
            var files: Int
            var bytes: Int64
            var backups: [String]
        }
        var clients: [String: [String: Cluster]]
    }

    /// What the restored cluster holds of the rows that were written until the loss.
    struct Restored: Decodable {
        var rows, highest: Int
        var last: Double
    }

    /// The copy of a node's PostgreSQL that survives it; nil where there is none.
    func databaseCopy(of node: NodeName) async throws -> DatabaseCopy? {
        let fleet = session.fleet
        guard let service = fleet.services.backup, fleet.services.postgresql != nil,
            fleet.active.nodes(with: .database).first == node, fleet.active.nodes(with: .backup).contains(node)
        else { return nil }
        let targets = service.targets(of: service.postgresql.targets)
        for (name, target) in targets {
            guard case .node(let vault) = target, vault.node != node,
                let endpoint = try await session.endpoint(vault.node),
                let key = try await session.pins(vault.node).first
            else { continue }
            let setting = PostgresBackupSettings.Copy(
                name: name, place: "\(vault.node):\(Catalogue.copyFolder(vault))",
                host: endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host, port: Int(endpoint.port),
                user: Catalogue.copyUser)
            return DatabaseCopy(
                name: name, place: vault.node.rawValue, vault: vault.node,
                survivor: .node(
                    setting, hostKey: key.line.split(separator: " ").prefix(2).joined(separator: " ")))
        }
        return targets.lazy.compactMap { name, target in
            guard case .s3(let bucket) = target else { return nil }
            return DatabaseCopy(
                name: name, place: "\(bucket.s3.endpoint)/\(bucket.s3.bucket)", survivor: .bucket(name, bucket.s3))
        }.first
    }

    /// Seconds for which rows are written: so many that the first of them must have got away by then.
    private var canarySeconds: Int {
        Int((session.fleet.services.backup?.postgresql.archiveTimeout ?? .seconds(60)).components.seconds) + 50
    }

    /// A row every second on the living node. Nil where it does not answer: then nothing can be said of what is lost.
    func writeCanary(on node: NodeName) async -> PostgresBackupState? {
        let (desk, id, seconds) = (BackupDesk(session: session), RandomBytes.identifier(), canarySeconds)
        do {
            let planned = try await desk.plan(
                .postgresql, on: node, id: "canary-\(id)", title: "write a row every second for \(seconds) s",
                command: ["canary", id, "\(seconds)"], unless: ["canaried", id], seconds: Double(seconds),
                timeout: seconds + 180)
            let report = try await Runner(session: session, contact: contact, observer: observer).run(planned)
            guard report.outcome == .converged else { return nil }
            return try await desk.ask(.postgresql, on: node, ["state"], as: PostgresBackupState.self)
        } catch {
            observer(.note("no rows could be written on \(node): \(error)"))
            return nil
        }
    }

    /// Takes the rows away again; a node that does not answer keeps them until the next drill.
    func endCanary(on node: NodeName) async {
        guard
            let planned = try? await BackupDesk(session: session).plan(
                .postgresql, on: node, id: "canary-end-\(RandomBytes.identifier())",
                title: "take the drill's rows away", command: ["canary-end"], unless: ["canary-ended"], seconds: 1,
                timeout: 120)
        else { return }
        _ = try? await Runner(session: session, contact: contact, observer: observer).run(planned)
    }

    /// What has survived of this node by now: another node says it itself; of a bucket only the node does, while it lives.
    func arrived(_ copy: DatabaseCopy, of node: NodeName) async throws -> [String: Arrived.Cluster] {
        let desk = BackupDesk(session: session)
        if let vault = copy.vault {
            let all = try await desk.ask("vault", on: vault, ["state"], as: Arrived.self)
            return all.clients[node.rawValue] ?? [:]
        }
        guard let state = try? await desk.ask(.postgresql, on: node, ["state"], as: PostgresBackupState.self),
            let target = state.targets.first(where: { $0.name == copy.name }), let last = target.wal.last?.last
        else { return [:] }
        return [
            state.system: Arrived.Cluster(
                last: [String(last.prefix(8)): last], files: 0, bytes: 0, backups: target.backups.map(\.label))
        ]
    }

    /// Fetches the copy as it was at the loss, restores it and replays all of its WAL.
    func restore(
        _ copy: DatabaseCopy, of node: NodeName, _ held: [String: Arrived.Cluster], system: String?,
        _ drill: FleetSession, _ say: Say
    ) async throws -> (bytes: Double, seconds: Double) {
        let desk = BackupDesk(session: drill)
        let release = try drill.store.facts(DrillFleet.node).flatMap { DebianRelease(rawValue: $0.codename) }
        let version = drill.fleet.services.postgresql?.version ?? (release ?? .bookworm).postgresql
        let resources = try Catalogue.postgresDrill(
            session.fleet, version: version, lost: node, from: copy.survivor,
            digest: { Digest(of: $0) })
        try await converge(
            resources.map { DesiredResource($0, on: DrillFleet.node, origin: "drill") },
            "get ready to restore PostgreSQL", drill)
        let id = RandomBytes.identifier()
        // The living node goes on meanwhile: what arrived after the loss does not count.
        var words: [String] = []
        if let system, let cluster = held[system] {
            words += ["--system", system]
            if let line = cluster.last.keys.max(), let last = cluster.last[line] { words += ["--until", last] }
        }
        try await work(
            "fetch the backups of PostgreSQL from \(copy.place)",
            ["fetch", copy.name, id, "--replace", "yes"] + words,
            ["fetched", id], drill)
        try await work(
            "restore PostgreSQL", ["restore", id, "--replace", "--other-cluster"], ["restored", id], drill)
        let report = try await desk.ask(.postgresql, on: DrillFleet.node, ["restored", id], as: RestoreReport.self)
        let state = try await desk.ask(.postgresql, on: DrillFleet.node, ["state"], as: PostgresBackupState.self)
        let fetched = state.fetched?.seconds ?? 0
        say(
            "PostgreSQL",
            "\(report.label) from \(copy.place), \(Int64(report.bytes).bytesText), replayed to \(report.reached); \(fetched.durationText) fetching, \(report.copied.durationText) copying, \(report.replayed.durationText) replaying",
            "restored", true, Double(report.bytes), "bytes")
        return (Double(report.bytes), fetched + report.copied + report.replayed)
    }

    private func work(_ title: String, _ words: [String], _ unless: [String], _ drill: FleetSession) async throws {
        let planned = try await BackupDesk(session: drill).plan(
            .postgresql, on: DrillFleet.node, id: "drill-\(RandomBytes.identifier())", title: title, command: words,
            unless: unless, seconds: 60, timeout: 20 * 3600)
        let report = try await Runner(session: drill, contact: contact, observer: observer).run(planned)
        guard report.outcome == .converged else {
            throw BasculeError(
                .drillFailed, "\(title): \(report.reason ?? "failed")", hint: "the backups cannot be restored")
        }
    }

    /// What would have been lost: from the last row that was written to the last one that came back.
    func say(rpo written: PostgresBackupState?, _ restored: Restored?, _ say: Say) -> Double? {
        guard let canary = written?.canary, canary.rows > 0, let restored, restored.rows > 0 else {
            say(
                "RPO",
                written == nil ? "not measured: the node does not answer" : "no row of the last minutes came back",
                "under 5 min", false, nil, nil)
            return nil
        }
        let lost = max(0, canary.last - restored.last)
        say(
            "RPO", "\(lost.durationText): \(restored.highest) of \(canary.rows) rows, one a second, had got away",
            "under 5 min", lost < 300, lost, "s")
        say(
            "no row missing before", "\(restored.rows) of \(restored.highest)", "all",
            restored.rows == restored.highest, nil, nil)
        return lost
    }

    /// Leaves on the lost node when it was drilled, for the alert by age.
    func leaveMetric(_ record: DrillRecord, on node: NodeName) async {
        let (desk, time) = (BackupDesk(session: session), "\(Int(record.made))")
        guard
            let planned = try? await desk.plan(
                "borg", on: node, id: "drilled-\(RandomBytes.identifier())", title: "note the drill on \(node)",
                command: [
                    "drilled", time, "\(Int(record.expires - record.made))", record.passed ? "passed" : "failed",
                ],
                unless: ["is-drilled", time], seconds: 1, timeout: 60)
        else { return }
        _ = try? await Runner(session: session, contact: contact, observer: observer).run(planned)
    }
}
