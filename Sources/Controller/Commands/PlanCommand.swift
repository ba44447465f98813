import ArgumentParser
import BasculeCatalogue
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule plan`
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show and save what apply would do; changes nothing. Ends with 0 nothing to do, 2 changes, 1 error.",
        discussion: """
            Examples:
              bascule plan
              bascule plan --out tonight.plan  then: bascule apply tonight.plan
              bascule plan --on vps1 --json
              bascule plan --explain memory    each service's share, and whether it fits
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Option(help: "Write the plan to a file, for bascule apply FILE.") var out: String?
    @Option(help: "Only these nodes (a comma between them).") var on: String?
    @OptionGroup var caps: CapOptions
    @Flag(help: "Only one line a step.") var short = false

    @Option(help: "Explain instead of planning: memory. Ends with 1 where a node's does not suffice.") var explain:
        Explanation?

    enum Explanation: String, ExpressibleByArgument, CaseIterable { case memory }

    func run() async throws {
        let session = try options.session()
        if explain == .memory { return try await explainMemory(session) }
        let only = on?.split(separator: ",").map { NodeName(String($0)) }
        let planned = try await PlanMaker(session: session, only: only, maxDeletes: caps.maxDeletes).make()
        let skews = await session.clockSkews
        await session.close()
        ClockSkew.lines(skews).forEach { Terminal.error($0) }
        if !planned.plan.steps.isEmpty || out != nil { try session.store.save(planned.plan) }
        if output.json {
            try Terminal.json(planned.plan)
        } else {
            PlanView(plan: planned.plan, full: !short).render().forEach { Terminal.say($0) }
        }
        for (_, error) in planned.unreachable.sorted(by: { $0.key < $1.key }) { Terminal.fail(error) }
        if let out {
            try PlanFile.write(planned.plan, to: out)
            if !output.json { Terminal.say("saved as \(out); next: bascule apply \(out)") }
        } else if !output.json, !planned.plan.steps.isEmpty {
            Terminal.say("next: bascule apply")
        }
        if !planned.unreachable.isEmpty { throw ExitStatus(code: 1) }
        if !planned.plan.steps.isEmpty { throw ExitStatus(code: 2) }
    }
}

extension PlanCommand {
    /// Nothing is asked of any node: what is known of them is in the store.
    private func explainMemory(_ session: FleetSession) async throws {
        let (compiled, _) = try await PlanMaker(session: session).compile()
        await session.close()
        for budget in compiled.budgets {
            if output.json {
                try Terminal.json(budget)
            } else {
                MemoryView(budget: budget).lines.forEach { Terminal.say($0) }
            }
        }
        if compiled.budgets.contains(where: { !$0.fits && $0.origin != .assumed }) { throw ExitStatus(code: 1) }
    }
}

/// A plan on its way from `plan --out` to `apply`. The store holds the plan itself; the file must be the same.
enum PlanFile {
    static func write(_ plan: Plan, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { try encoder.encode(plan).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
            throw BasculeError(
                .inputOutput, "the plan could not be written to \(path)", cause: error.localizedDescription)
        }
    }

    /// Throws `plan-refused` for a file that was edited or comes from another fleet.
    static func read(_ path: String, session: FleetSession) throws -> Plan {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw BasculeError(.inputOutput, "the plan file \(path) cannot be read")
        }
        guard let plan = try? JSONDecoder().decode(Plan.self, from: data) else {
            throw BasculeError(
                .planRefused, "\(path) is not a plan of this version", hint: "make it again: bascule plan --out \(path)"
            )
        }
        guard plan.fleet == session.fleet.name, let saved = try? session.store.plan(plan.id) else {
            throw BasculeError(
                .planRefused, "\(path) is a plan of another fleet or store",
                hint: "make it again: bascule plan --out \(path)")
        }
        guard saved == plan else {
            throw BasculeError(
                .planRefused, "\(path) was changed after it was made",
                hint: "a plan is applied exactly as saved; make it again: bascule plan --out \(path)")
        }
        return plan
    }
}

extension ErrorCode {
    /// A plan file that is not what the store saved.
    static let planRefused: ErrorCode = "plan-refused"
}
