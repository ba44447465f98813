import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// `bascule now`: the screen for 3 a.m.
struct NowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "now",
        abstract: "Who serves, who takes writes, what runs, what comes next, and what closing the laptop would mean.")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let session = try options.session()
        let screen = try await NowScreen.make(session)
        await session.close()
        if output.json { try Terminal.json(screen) } else { screen.lines.forEach { Terminal.say($0) } }
    }
}

/// What `bascule now` shows. It asks the agents: the conductor's journal is the one authority.
struct NowScreen: Encodable {
    enum Verdict: String, Encodable {
        case safe = "SAFE"
        case degraded = "DEGRADED"
        case actNow = "ACT NOW"
    }

    var verdict: Verdict
    var why: String
    var serves: String
    var takesWrites: String
    var running: [String]
    var next: String?
    var phase: String?
    /// Seconds until the freeze's lease runs out.
    var leaseLeft: Double?
    var waitingForDecision: Bool
    var rollback: String
    var closingTheLaptop: String
    var unreachable: [String]

    static func make(_ session: FleetSession) async throws -> NowScreen {
        var statuses: [NodeName: AgentStatus] = [:]
        var silent: [String] = []
        let nodes = try session.usedNodes.filter { try session.isBootstrapped($0) }
        let answers = await session.statuses(of: nodes)
        for node in nodes {
            switch answers[node] {
            case .success(let status)?: statuses[node] = status
            case .failure(let error)?: silent.append("\(node): \(error.message)")
            case nil: break
            }
        }
        return judge(session.fleet, statuses, silent, state: try session.store.migrationState())
    }

    /// Pure: what the statuses mean.
    static func judge(_ fleet: Fleet, _ statuses: [NodeName: AgentStatus], _ silent: [String], state: MigrationState)
        -> NowScreen
    {
        let activities = statuses.values.flatMap(\.activities)
        let conducted = activities.last { $0.conducted }
        let live = activities.filter { $0.ended == nil }
        let edge = statuses.values.compactMap(\.edge).first
        let t0 = statuses.values.filter { $0.migrationAttempt > 0 }.compactMap(\.t0).last
        let isFrozen = conducted.map { $0.ended == nil && t0 != .open } ?? false
        var screen = NowScreen(
            verdict: .safe, why: "nothing is under way", serves: "the new system", takesWrites: "the new system",
            running: live.flatMap(\.running),
            next: live.compactMap(\.next).first, phase: live.compactMap(\.phase).first?.rawValue,
            leaseLeft: live.compactMap(\.leaseLeft).first,
            waitingForDecision: live.contains { $0.waitingForDecision },
            rollback: "bascule rollback restores the configuration of before the last apply",
            closingTheLaptop: "nothing: no step needs it", unreachable: silent)
        if fleet.migration != nil, state != .finished, t0 != .open {
            (screen.serves, screen.takesWrites) = ("the old system", "the old system")
            screen.rollback = "free: customers have seen nothing of the new system"
        }
        if isFrozen {
            screen.serves =
                edge == .maintenance || edge == nil ? "nobody: customers see the maintenance page" : "the old system"
            screen.takesWrites = "nobody: the sources are fenced"
            screen.why =
                conducted?.isCompensating == true
                ? "the migration is going back; the old system will serve in a moment" : "the cutover is under way"
            screen.rollback = "bascule rollback: the old system serves again within seconds, nothing is lost"
            screen.closingTheLaptop = "nothing: the target's agent conducts to the end, or back, by itself"
        } else if t0 == .open, let conducted, conducted.ended == nil {
            screen.why = "the new system serves and is being watched"
            screen.rollback = "no longer free: orders placed since T0 exist only on the new system"
            screen.closingTheLaptop = "nothing: the watch goes on by itself"
        } else if !live.isEmpty {
            screen.why = "\(live.count) segments run"
            screen.closingTheLaptop = "the running segments end by themselves; bascule apply goes on later"
        }
        if screen.waitingForDecision {
            screen.verdict = .actNow
            screen.why = "the migration waits for your answer: bascule go, or bascule no-go"
        }
        if fleet.migration != nil, state == .conducted, conducted == nil, t0 != .open {
            (screen.serves, screen.takesWrites) = (
                "unknown: the conductor does not answer", "unknown: the conductor does not answer"
            )
        }
        if conducted?.ended == .failed, t0 == .open, state != .finished {
            screen.verdict = .degraded
            screen.why = "a criterion of the watch tripped after T0: look at bascule history"
        }
        if conducted?.ended == .stuck {
            screen.verdict = .actNow
            screen.why = "a rollback did not come to its end: look at bascule history"
        } else if !silent.isEmpty, screen.verdict == .safe {
            screen.verdict = .degraded
            screen.why = "some nodes do not answer"
        } else if screen.verdict == .safe, screen.serves == "the new system" {
            // Before T0 nobody depends on it: what a rollback left may well be without data.
            let bad = statuses.sorted { $0.key < $1.key }.flatMap { node, status in
                (status.services ?? []).filter { !$0.serves }.map { "\($0.name) on \(node)" }
            }
            if !bad.isEmpty {
                screen.verdict = .degraded
                screen.why = "does not serve: \(bad.joined(separator: ", ")); bascule status says why"
            }
        }
        return screen
    }

    var lines: [String] {
        let color: Terminal.Color = verdict == .safe ? .green : verdict == .degraded ? .yellow : .red
        var out = ["\(Terminal.paint(verdict.rawValue, color))  \(why)", ""]
        out.append("serves          \(serves)")
        out.append("takes writes    \(takesWrites)")
        if !running.isEmpty { out.append("runs            \(running.map(Terminal.escape).joined(separator: ", "))") }
        if let phase { out.append("phase           \(phase)") }
        if let next { out.append("comes next      \(Terminal.escape(next))") }
        if let leaseLeft { out.append("lease           \(leaseLeft.durationText) left, then the declared policy") }
        out.append("going back      \(rollback)")
        out.append("closing the laptop now means  \(closingTheLaptop)")
        out += unreachable.map { "no answer       \(Terminal.escape($0))" }
        return out
    }
}
