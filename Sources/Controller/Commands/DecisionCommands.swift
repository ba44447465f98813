import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

/// What is said to the running migration goes straight to its conductor: it works also where the terminal that began
/// the migration is gone.
enum Conductor {
    static func tell(_ command: SegmentCommand, _ session: FleetSession) async throws {
        for node in session.usedNodes where try session.isBootstrapped(node) {
            guard case .status(let status)? = try? await session.link(node).ask(.status) else { continue }
            guard let activity = status.activities.last(where: { $0.conducted && $0.ended == nil }) else { continue }
            if command == .rollback, status.t0 == .open { throw BasculeError(.notFound, "T0 has passed") }
            _ = try await session.link(node).ask(.command(activity.segment, command))
            return
        }
        throw BasculeError(.notFound, "no migration is being conducted", hint: "bascule now shows what runs")
    }
}

extension ErrorCode {
    /// Going back would lose writes that customers were told are done.
    static let rollbackLoses: ErrorCode = "rollback-loses-writes"
}

/// `bascule go`
struct GoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "go", abstract: "Answer the migration's go/no-go with go.")
    @OptionGroup var options: FleetOptions
    func run() async throws {
        let session = try options.session()
        try await Conductor.tell(.go, session)
        Terminal.say("go: the conductor switches now; bascule now shows it")
        await session.close()
    }
}

/// `bascule no-go`
struct NoGoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "no-go", abstract: "Answer the migration's go/no-go with no-go: the old system serves again.")
    @OptionGroup var options: FleetOptions
    func run() async throws {
        let session = try options.session()
        try await Conductor.tell(.noGo, session)
        Terminal.say("no-go: the conductor goes back now; bascule now shows it")
        await session.close()
    }
}

/// `bascule rollback`
struct RollbackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Go back: a running migration before T0, or the configuration of before an apply.",
        discussion: """
            Examples:
              bascule rollback  a migration goes back, else the last apply's settings
              bascule rollback --run RUN  the configuration of before that run
            """)
    @OptionGroup var options: FleetOptions
    @Option(help: "The run whose changes are taken back; the newest that changed something if absent.") var run: String?
    @Flag(help: "Do not ask.") var yes = false
    @Flag(help: "After T0: go back although what was written since stays behind.") var loseNewWrites = false

    func run() async throws {
        let session = try options.session()
        if run == nil {
            do {
                try await Conductor.tell(.rollback, session)
                Terminal.say("the conductor goes back: the old system serves again in a moment; bascule now shows it")
                return await session.close()
            } catch let error as BasculeError where error.code == .notFound {}
        }
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        if run == nil, try await hasOpened(session) {
            try await goBack(session)
        } else {
            try await restore(session)
        }
        await session.close()
    }

    /// T0 has passed and *finish* has not.
    private func hasOpened(_ session: FleetSession) async throws -> Bool {
        switch try session.store.migrationState() {
        case .opened: return true
        case .before, .finished: return false
        case .conducted:
            for node in session.usedNodes where try session.isBootstrapped(node) {
                if case .status(let status)? = try? await session.link(node).ask(.status), status.migrationAttempt > 0 {
                    return status.t0 == .open
                }
            }
            return false
        }
    }

    private func goBack(_ session: FleetSession) async throws {
        let view = RunView(json: false)
        guard let back = try GoingBack(session, observer: view.observer) else {
            throw BasculeError(.notFound, "the segment of the migration is not in this store")
        }
        let plan = back.plan
        if !plan.keepsNewWrites, !loseNewWrites {
            throw BasculeError(
                .rollbackLoses,
                plan.journalsNewWrites
                    ? "T0 has passed: what was written since would stay on the new side, as SQL statements in a file"
                    : "T0 has passed: going back now would lose every row written since on the new system",
                hint:
                    "migration.rollback.newWrites: reverse carries them back; else decide with bascule rollback --lose-new-writes"
            )
        }
        Terminal.say(
            plan.keepsNewWrites
                ? "New writes are carried back; keys and files written since T0 stay on the new side."
                : "What was written since T0 stays on the new side.")
        guard yes || Terminal.ask("Go back to the old system?") else {
            throw BasculeError(.cancelled, "nothing was done")
        }
        let outcome = try await back.run()
        view.finish()
        switch outcome.status {
        case .converged:
            let said = back.plan.steps().compactMap { outcome.results[$0.id] }.filter { $0.output != nil }
            for result in said { Terminal.say("  \(Terminal.escape(result.summary))") }
            Terminal.say("the old system serves; bascule apply starts another attempt")
        default:
            let failed = back.plan.steps().compactMap { outcome.results[$0.id]?.error }.first
            Terminal.error("the way back failed (\(failed?.message ?? outcome.status.rawValue)); the new system serves")
            throw ExitStatus(code: 1)
        }
    }

    private func restore(_ session: FleetSession) async throws {
        let wanted = try run.map { RunID($0) } ?? newest(session)
        let segments = try session.store.segments(of: wanted).filter { $0.segment.lease == nil }
        guard !segments.isEmpty else {
            throw BasculeError(
                .notFound, "the run \(wanted) changed no configuration", hint: "bascule history lists the runs")
        }
        guard
            yes
                || Terminal.ask(
                    "Restore the configuration of before run \(wanted) on \(Set(segments.map(\.segment.node.rawValue)).sorted().joined(separator: ", "))?"
                )
        else {
            throw BasculeError(.cancelled, "nothing was done")
        }
        var failed = 0
        for (segment, _) in segments.reversed() {
            do {
                guard case .restored(let results) = try await session.link(segment.node).ask(.restore(segment.id))
                else { continue }
                for (id, what) in results.sorted(by: { $0.key < $1.key }) {
                    Terminal.say("  \(id)  \(Terminal.escape(what))")
                    if what.hasPrefix("not ") { failed += 1 }
                }
                try? await session.collectEvents(segment.node, newest: .max)
            } catch let error as BasculeError where error.code == "unknown-segment" {
                // It changed nothing there.
            }
        }
        Terminal.say(
            failed == 0
                ? "the configuration of before \(wanted) is back; next: bascule drift"
                : "\(failed) resources could not be restored")
        if failed > 0 { throw ExitStatus(code: 1) }
    }

    private func newest(_ session: FleetSession) throws -> RunID {
        for record in try session.store.runs() where try !session.store.segments(of: record.id).isEmpty {
            return record.id
        }
        throw BasculeError(.notFound, "no run has changed anything yet")
    }
}
