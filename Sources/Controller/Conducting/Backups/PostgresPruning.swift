import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

extension ErrorCode {
    /// A base backup on record is not there any more: nothing was removed.
    package static let pruneBackupMissing: ErrorCode = "prune-backup-missing"
}

/// Retention of PostgreSQL's backups where their node must not delete: by the controller, after everything that stays was
/// read and compared.
package struct PostgresPruning: Sendable {
    /// A target whose retention is the controller's.
    package struct Place: Sendable {
        package var node: NodeName
        package var target: String
        /// Where the work is done: the node that keeps the copy, or for a bucket the database's own.
        package var keeper: NodeName
        /// nil for a bucket.
        var vault: BackupNode?
        var declared: BackupTarget
    }

    private struct Vault: Decodable {
        var clients: [String: [String: Drill.Arrived.Cluster]]
        var pruned: [String: PruneReport]?
    }

    private let session: FleetSession
    private let contact: FirstContact
    private let observer: RunObserver
    private var desk: BackupDesk { BackupDesk(session: session) }

    package init(session: FleetSession, contact: FirstContact, observer: @escaping RunObserver) {
        (self.session, self.contact, self.observer) = (session, contact, observer)
    }

    package func places() -> [Place] {
        guard let service = session.fleet.services.backup,
            let node = desk.places().first(where: { $0.kind == .postgresql })?.node
        else { return [] }
        return service.targets(of: service.postgresql.targets).compactMap { name, target in
            switch target {
            case .folder: nil
            case .node(let vault):
                vault.node == node
                    ? nil : Place(node: node, target: name, keeper: vault.node, vault: vault, declared: target)
            case .s3(let bucket):
                bucket.s3.prune == nil ? nil : Place(node: node, target: name, keeper: node, declared: target)
            }
        }
    }

    private func setting(_ place: Place) -> String { "postgresql/\(place.node)/\(place.target)" }

    /// Base backups that the controller has seen and not deleted; nil before the first look.
    package func record(of place: Place) throws -> [String]? {
        guard let text = try session.store.setting(setting(place)) else { return nil }
        return try JSONDecoder().decode([String].self, from: Data(text.utf8))
    }

    private func set(_ labels: [String], of place: Place) throws {
        try session.store.set(setting(place), to: String(decoding: try JSONEncoder().encode(labels), as: UTF8.self))
    }

    /// What is there now.
    private func seen(_ place: Place) async throws -> [String] {
        if place.vault != nil {
            let state = try await desk.ask("vault", on: place.keeper, ["state"], as: Vault.self)
            return (state.clients[place.node.rawValue] ?? [:]).flatMap { system, cluster in
                cluster.backups.map { "\(system)/\($0)" }
            }.sorted()
        }
        let state = try await desk.ask(.postgresql, on: place.node, ["state"], as: PostgresBackupState.self)
        return state.targets.first { $0.name == place.target }?.backups.map(\.label) ?? []
    }

    /// Checks everything that stays and removes the rest. The first time a target only goes on record.
    /// - Parameter days: to keep, instead of what the fleet file says.
    /// - Returns: nil where it went on record.
    /// - Throws: `prune-backup-missing`, `prune-check-failed`, `prune-failed`; nothing was removed then.
    package func prune(_ place: Place, days: Int?) async throws -> PruneReport? {
        guard let record = try record(of: place) else {
            try set(try await seen(place), of: place)
            return nil
        }
        let id = RandomBytes.identifier()
        guard let service = session.fleet.services.backup else { return nil }
        let digest: @Sendable ([UInt8]) -> Digest = { Digest(of: $0) }
        guard
            let keys = try Catalogue.postgresPruning(
                session.fleet, version: session.fleet.services.postgresql?.version ?? 15,
                target: (place.target, place.declared),
                path: place.vault.map { Catalogue.pruneFolder($0, of: place.node) }, digest: digest)
        else { return nil }
        let days = "\(days ?? Catalogue.keptDays(service))"
        let program = place.vault == nil ? BackupKind.postgresql.rawValue : "vault"
        let words =
            place.vault == nil
            ? ["prune", place.target, id, days, keys.path] + record
            : ["prune", place.node.rawValue, id, days, keys.path] + record
        let report: PruneReport?
        do {
            try await carryOut(
                try withKeys(
                    keys, on: place.keeper,
                    try await desk.plan(
                        program, on: place.keeper, id: "prune-\(id)",
                        title: "check and prune the base backups of \(place.node) at \(place.target)", command: words,
                        unless: ["pruned", id], seconds: 60, timeout: 20 * 3600)))
            if place.vault == nil {
                report = try await desk.ask(.postgresql, on: place.node, ["state"], as: PostgresBackupState.self)
                    .pruned?[place.target]
            } else {
                report = try await desk.ask("vault", on: place.keeper, ["state"], as: Vault.self)
                    .pruned?[place.node.rawValue]
            }
        } catch {
            await forget(keys, on: place.keeper)
            throw error
        }
        await forget(keys, on: place.keeper)
        guard let report, report.id == id else {
            throw BasculeError(.protocolViolation, "\(place.keeper) did not say what came of the prune")
        }
        if let refusal = report.refusal {
            throw BasculeError(
                ErrorCode(rawValue: refusal.code), "\(place.target): \(refusal.text): nothing was removed",
                at: .node(name: place.keeper.rawValue, subject: nil),
                hint: "bascule snapshot drill shows what can be restored; docs/services/backup.md, Retention")
        }
        try set(report.kept, of: place)
        return report
    }

    /// The keys come just before the work.
    private func withKeys(_ keys: FileSpec, on keeper: NodeName, _ planned: Planned) throws -> Planned {
        var out = planned
        guard let work = planned.plan.steps.first else { return planned }
        func step(_ name: String, _ title: String, _ file: FileSpec) -> Step {
            Step(
                id: StepID("\(work.id.rawValue)-\(name)"), phase: work.phase, node: keeper, title: title,
                action: .converge([
                    ConvergeItem(
                        desired: DesiredResource(.file(file), on: keeper, origin: "snapshot"), before: nil, change: nil)
                ]), reversal: .reversible(seconds: 0), estimate: 0.1)
        }
        let bring = step("keys", "bring the keys, for as long as it takes", keys)
        // In the same segment: after it, the agent would heal them back.
        var take = step("end", "take the keys away", FileSpec(keys.path, Content(""), state: .absent))
        take.requires = [work.id]
        out.plan.steps = [bring] + planned.plan.steps + [take]
        out.plan.steps[1].requires.append(bring.id)
        try session.store.save(out.plan)
        return out
    }

    private func carryOut(_ planned: Planned) async throws {
        let report = try await Runner(session: session, contact: contact, observer: observer).run(planned)
        guard report.outcome == .converged else {
            throw BasculeError("prune-failed", "the prune did not come to its end: \(report.reason ?? "failed")")
        }
    }

    /// Whatever came of it, the keys do not stay.
    private func forget(_ keys: FileSpec, on node: NodeName) async {
        let id = RandomBytes.identifier()
        let absent = FileSpec(keys.path, Content(""), state: .absent)
        let actions: [(String, StepAction)] = [
            (
                "take the keys away",
                .converge([
                    ConvergeItem(
                        desired: DesiredResource(.file(absent), on: node, origin: "snapshot"), before: nil, change: nil)
                ])
            ),
            ("forget the keys on \(node)", .migrate(.forgetSecrets(Resource.file(keys).secrets.sorted()))),
        ]
        let steps = actions.enumerated().map { number, action in
            Step(
                id: StepID("\(node)/prune-forget-\(number)-\(id)"), phase: .install, node: node, title: action.0,
                action: action.1, reversal: .reversible(seconds: 0), estimate: 0.1)
        }
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: session.fleet.name,
            topology: session.fleet.activeTopology.rawValue, revision: session.revision,
            created: Date().timeIntervalSince1970, steps: steps)
        let planned = Planned(
            plan: plan, compiled: Compiled(), blobs: [:], lease: nil, unreachable: [:], late: session.usedNodes)
        let report: RunReport?
        do {
            try session.store.save(plan)
            report = try await Runner(session: session, contact: contact, observer: observer).run(planned)
        } catch { report = nil }
        if report?.outcome != .converged {
            observer(.note("the keys of the prune may still be on \(node): bascule snapshot prune takes them away"))
        }
    }
}
