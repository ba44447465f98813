import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule apply`
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract:
            "Carry a plan out. Ends with 0 converged, 3 stopped at a gate, 4 rolled back, 1 error or refused steps.",
        discussion: """
            Running it again after any crash goes on where it stopped; nothing is done
            twice.
            Examples:
              bascule apply                        plan, show, ask, do
              bascule apply tonight.plan --yes     exactly what was saved
              bascule apply --through copy         stop before the next phase
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Argument(help: "A plan that bascule plan --out wrote.") var planFile: String?
    @Flag(help: "Do not ask before starting. It never answers the migration's go or no-go.") var yes = false
    @OptionGroup var caps: CapOptions
    @Option(help: "The last phase to run: one before freeze, or one from open on.") var through: String?

    func run() async throws {
        let last = try phase()
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let view = RunView(json: output.json)
        let runner = Runner(session: session, contact: contact.contact(), through: last, observer: view.observer)
        let settled = try await runner.settle()
        if let settled, settled.status == .rolledBack {
            view.finish()
            try finish(
                nil, view, note: "the migration that an earlier run began was rolled back; the old system serves",
                status: RunOutcome.rolledBack.exitStatus)
        }
        var maker = PlanMaker(session: session, maxDeletes: caps.maxDeletes)
        // Nobody reads this plan first, and no migration needs all nodes at once: silent ones hold nobody up.
        if yes, planFile == nil, session.fleet.migration == nil { maker.patience = .seconds(2) }
        var planned = try await maker.make()
        let earlier = try await goAhead(&planned, maker, runner, session, view)
        for line in ClockSkew.lines(await session.clockSkews) { view.observer(.note(line)) }
        if let planFile {
            planned.plan = try PlanFile.read(planFile, session: session)
        } else if !planned.plan.steps.isEmpty {
            try session.store.save(planned.plan)
        }
        for (node, error) in planned.unreachable.sorted(by: { $0.key < $1.key }) {
            Terminal.error("\(node) is out of reach: its steps are not in this plan")
            Terminal.fail(error)
        }
        if planned.plan.steps.isEmpty {
            view.finish()
            await runner.handOver(planned)
            await BackupReport.afterApply(session, changed: (earlier?.report.count(.done) ?? 0) > 0)
            await session.close()
            if let earlier {
                try finish(earlier.report, view, plan: earlier.plan)
            } else if output.json {
                try Terminal.json(["event": "ended", "outcome": "converged"])
            } else {
                PlanView(plan: planned.plan).render().forEach { Terminal.say($0) }
            }
            if !planned.unreachable.isEmpty { throw ExitStatus(code: 1) }
            return
        }
        if !yes {
            if !output.json { PlanView(plan: planned.plan).render().forEach { Terminal.say($0) } }
            guard Terminal.isInteractive, Terminal.ask("Carry this plan out?") else {
                throw BasculeError(
                    .cancelled, "nothing was done",
                    hint: Terminal.isInteractive ? nil : "without a terminal, --yes starts it")
            }
        }
        view.expect(planned.plan)
        var report = try await execute(runner, session, &planned)
        if let earlier {
            report = earlier.report.followed(by: report)
            planned.plan.steps += earlier.plan.steps
        }
        await BackupReport.afterApply(session, changed: report.count(.done) > 0)
        await session.close()
        view.finish()
        try finish(report, view, plan: planned.plan)
        // The others converged; the fleet has not.
        if !planned.unreachable.isEmpty { throw ExitStatus(code: 1) }
    }

    /// What was carried out while some nodes were still silent.
    private struct Earlier {
        var plan: Plan
        var report: RunReport
    }

    /// Carries out what the nodes that have answered need, where others have not; then `planned` is what is left. A plan
    /// that deletes, or makes nodes, waits for all of them: its cap and its order are for the whole.
    private func goAhead(
        _ planned: inout Planned, _ maker: PlanMaker, _ runner: Runner, _ session: FleetSession, _ view: RunView
    ) async throws -> Earlier? {
        guard !planned.late.isEmpty else { return nil }
        var rest = PlanMaker(session: session, maxDeletes: caps.maxDeletes)
        rest.asked = planned.asked
        let deletes = planned.plan.steps.contains { step in
            if case .converge(let items) = step.action {
                items.contains { $0.change?.action == .delete }
            } else {
                false
            }
        }
        guard !planned.plan.steps.isEmpty, !deletes, !planned.plan.phases.contains(.provision) else {
            planned = try await rest.make()
            return nil
        }
        let late = planned.late.map(\.rawValue).joined(separator: ", ")
        view.observer(.note("no answer yet from \(late): the others go ahead"))
        try session.store.save(planned.plan)
        view.expect(planned.plan)
        let report = try await runner.run(planned)
        let first = planned
        rest = PlanMaker(session: session, only: first.late, maxDeletes: caps.maxDeletes)
        rest.asked = first.asked
        planned = try await rest.make()
        planned.plan.satisfied.merge(first.plan.satisfied) { $1 }
        planned.unreachable.merge(first.unreachable) { $1 }
        return Earlier(plan: first.plan, report: report)
    }

    /// Blank nodes are planned again once they are there: what was approved must cover what is then found.
    private func execute(_ runner: Runner, _ session: FleetSession, _ planned: inout Planned) async throws -> RunReport
    {
        let arrives = planned.plan.phases.contains(.provision)
        guard arrives, planFile == nil, runner.through.map({ $0 > .provision }) ?? true else {
            return try await runner.run(planned)
        }
        let approved = Set(planned.plan.steps.map(\.id))
        let first = try await Runner(
            session: session, contact: runner.contact, through: .provision, observer: runner.observer
        ).run(planned)
        // A node that cannot be made, or given its agent, does not hold the others up; a migration needs them all.
        let lost = planned.plan.steps.filter { $0.phase == .provision && first.results[$0.id]?.isGood == false }
        let missing = Dictionary(
            lost.compactMap { step in step.subject.flatMap { node in first.results[step.id]?.error.map { (node, $0) } }
            },
            uniquingKeysWith: { first, _ in first })
        let others = session.usedNodes.filter { missing[$0] == nil }
        guard
            first.outcome == .stopped || first.outcome == .converged
                || first.outcome == .failed && planned.plan.migration == nil && !others.isEmpty && !missing.isEmpty
        else { return first }
        var refined = try await PlanMaker(
            session: session, only: missing.isEmpty ? nil : others, maxDeletes: caps.maxDeletes
        ).make()
        refined.unreachable.merge(missing) { $1 }
        let beyond = refined.plan.steps.filter { !approved.contains($0.id) }
        if !beyond.isEmpty, !yes {
            beyond.forEach { Terminal.say("  + \($0.title)") }
            guard Terminal.ask("The nodes need \(beyond.count) steps that the plan did not show. Go on?") else {
                throw BasculeError(.cancelled, "stopped after provision")
            }
        }
        try session.store.save(refined.plan)
        planned = refined
        return try await runner.run(refined)
    }

    private func phase() throws -> Phase? {
        guard let through else { return nil }
        guard let phase = Phase(rawValue: through) else {
            throw BasculeError(
                .invalidInput, "there is no phase \(through)",
                hint: "phases: \(Phase.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard phase < .freeze || phase >= .open else {
            throw BasculeError(
                .invalidInput, "a run cannot stop after \(through): from freeze to open it stops only at the go/no-go",
                hint: "take a phase before freeze, or one from open on")
        }
        return phase
    }

    private func finish(
        _ report: RunReport?, _ view: RunView, plan: Plan? = nil, note: String? = nil, status: Int32 = 0
    ) throws {
        struct Ended: Encodable {
            var event = "ended"
            var outcome: String
            var run: String?
            var seconds: Double?
            var changed: Int?
            var satisfied: Int?
            var failed: Int?
            var refused: Int?
            var reason: String?
            var predictionScore: Double?
        }
        guard let report else {
            if output.json {
                try Terminal.json(Ended(outcome: "rolled-back", reason: note))
            } else {
                Terminal.say(note ?? "")
            }
            throw ExitStatus(code: status)
        }
        let score = plan.flatMap { report.predictionScore(of: $0) }
        if output.json {
            try Terminal.json(
                Ended(
                    outcome: report.outcome.rawValue, run: report.run.rawValue, seconds: report.seconds,
                    changed: report.count(.done), satisfied: report.count(.satisfied),
                    failed: report.count(.failed), refused: report.count(.refused), reason: report.reason,
                    predictionScore: score))
        } else {
            Terminal.say("")
            let word =
                switch report.outcome {
                case .converged: Terminal.paint("converged", .green)
                case .stopped: Terminal.paint("stopped", .yellow)
                case .rolledBack: Terminal.paint("rolled back: the old system serves", .yellow)
                case .failed: Terminal.paint("failed", .red)
                }
            Terminal.say(
                "\(word) in \(report.seconds.durationText): \(report.count(.done)) changed, \(report.count(.satisfied)) satisfied, \(report.count(.refused)) refused, \(report.count(.failed)) failed, \(report.count(.skipped)) skipped\(score.map { ", prediction \(Int($0 * 100)) %" } ?? "")"
            )
            if let reason = report.reason { Terminal.say("because: \(Terminal.escape(reason))") }
            Terminal.say("next: \(next(report.outcome))")
        }
        if report.outcome.exitStatus != 0 { throw ExitStatus(code: report.outcome.exitStatus) }
    }

    private func next(_ outcome: RunOutcome) -> String {
        switch outcome {
        case .converged: "bascule now"
        case .stopped: "bascule apply goes on; bascule now shows where it is"
        case .rolledBack: "find the reason, then bascule apply starts another attempt"
        case .failed: "look at the reason above, then bascule apply: it does only what is left"
        }
    }
}
