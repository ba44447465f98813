import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

/// A kind of backup, by the program on the node that makes it.
package enum BackupKind: String, Sendable, Hashable, CaseIterable {
    case postgresql
}

extension ErrorCode {
    /// A restore was refused; its message is what the node gave as reason.
    package static let restoreRefused: ErrorCode = "restore-refused"
}

/// What the controller asks of the programs that make backups, and has them do.
package struct BackupDesk: Sendable {
    package let session: FleetSession
    package init(session: FleetSession) { self.session = session }

    /// Where which kinds are made, as the fleet file declares it.
    package func places() -> [(node: NodeName, kind: BackupKind)] {
        let fleet = session.fleet
        guard fleet.services.backup != nil else { return [] }
        return fleet.active.nodes(with: .backup).flatMap { node in
            BackupKind.allCases.compactMap { kind in
                switch kind {
                case .postgresql:
                    fleet.services.postgresql != nil && fleet.active.nodes(with: .database).first == node
                        ? (node, kind) : nil
                }
            }
        }
    }

    /// The node that makes a kind of backup.
    package func node(of kind: BackupKind) throws -> NodeName {
        guard let place = places().first(where: { $0.kind == kind }) else {
            throw BasculeError(
                .notFound, "no node makes backups of \(kind.rawValue)",
                hint: "declare services.backup, and give the node the role backup")
        }
        return place.node
    }

    /// What kept the last base backup from being made, where that is a full disk.
    package func fullDisk(on node: NodeName) async -> BasculeError? {
        let word = "\(ErrorCode.diskFull.rawValue): "
        guard let state = try? await ask(.postgresql, on: node, ["state"], as: PostgresBackupState.self),
            let said = state.targets.lazy.compactMap(\.error).first(where: { $0.hasPrefix(word) })
        else { return nil }
        return BasculeError(
            .diskFull, String(said.dropFirst(word.count)), at: .node(name: node.rawValue, subject: nil),
            hint: "make room there, or a larger disk: WAL waits on the node until it finds room, too")
    }

    /// What a node's program answers to one of its questions, as JSON.
    package func ask<Answer: Decodable>(
        _ kind: BackupKind, on node: NodeName, _ words: [String], as type: Answer.Type
    ) async throws -> Answer {
        try await ask(kind.rawValue, on: node, words, as: type)
    }

    /// The same of any program of that kind.
    func ask<Answer: Decodable>(
        _ kind: String, on node: NodeName, _ words: [String], as type: Answer.Type
    ) async throws -> Answer {
        guard case .text(let text) = try await session.link(node).ask(.askBackup(kind: kind, words: words))
        else {
            throw BasculeError(.protocolViolation, "the agent answered something else than text")
        }
        do { return try JSONDecoder().decode(type, from: Data(text.utf8)) } catch {
            throw BasculeError(
                .protocolViolation, "\(node) said about its backups what cannot be read", cause: "\(error)",
                hint: "bascule apply brings the node the program of this version")
        }
    }

    /// A plan of one command, which the node's journal knows once, however often it is sent.
    package func plan(
        _ kind: BackupKind, on node: NodeName, id: String, title: String, command: [String], unless: [String],
        seconds: Double, timeout: Int, phase: Phase = .install
    ) async throws -> Planned {
        try await plan(
            kind.rawValue, on: node, id: id, title: title, command: command, unless: unless, seconds: seconds,
            timeout: timeout, phase: phase)
    }

    /// The same of any program of that kind.
    func plan(
        _ kind: String, on node: NodeName, id: String, title: String, command: [String], unless: [String],
        seconds: Double, timeout: Int, phase: Phase = .install
    ) async throws -> Planned {
        let program = Catalogue.backupProgram(kind)
        let spec = CommandSpec(
            "backup-\(id)", command: [program] + command, unless: [program] + unless, timeout: timeout)
        let desired = DesiredResource(.command(spec), on: node, origin: "snapshot")
        let change = Change(.run, [Difference("command", before: nil, after: spec.command.joined(separator: " "))])
        let step = Step(
            id: StepID("\(node)/backup-\(id)"), phase: phase, node: node, title: title,
            action: .converge([ConvergeItem(desired: desired, before: nil, change: change)]), certainty: .opaque,
            reversal: .pointOfNoReturn(reason: "a command"), estimate: seconds)
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: session.fleet.name,
            topology: session.fleet.activeTopology.rawValue, revision: session.revision,
            created: Date().timeIntervalSince1970, steps: [step])
        try session.store.save(plan)
        // Nobody is told anything about the fleet file by it.
        return Planned(
            plan: plan, compiled: Compiled(), blobs: [:], lease: nil, unreachable: [:], late: session.usedNodes)
    }
}
