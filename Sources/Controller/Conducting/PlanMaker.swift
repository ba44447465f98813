import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeNet
import BasculePlanning
import BasculeProtocol
import Foundation

/// A plan with what carrying it out needs besides.
package struct Planned: Sendable {
    package var plan: Plan
    package var compiled: Compiled
    /// Uploads by digest.
    package var blobs: [Digest: Blob]
    package var lease: MigrationLease?
    /// Nodes that could not be reached: their steps are missing, and why.
    package var unreachable: [NodeName: BasculeError]
    /// Nodes that have not answered yet, where not all were waited for: their steps are missing, too.
    package var late: [NodeName] = []
    /// What the nodes were asked; their answers serve the plan that is made with `PlanMaker.asked`.
    package var asked = PlanMaker.Questions()
}

/// Makes plans: compiles the fleet, has every agent observe, compares. Changes nothing on any node but the agent's own
/// copy of the secrets that it needs in order to look.
package struct PlanMaker: Sendable {
    package let session: FleetSession
    /// Only these nodes; nil for all that the fleet uses.
    package let only: [NodeName]?

    /// How many resources may be deleted this once; nil for the fleet's own cap.
    package let maxDeletes: Int?

    /// How long silent nodes are waited for at least, once others have answered; nil: until their own deadline.
    package var patience: Duration?
    /// Whether a fleet that does not fit its nodes' memory is refused.
    package var checksMemory = true
    /// What an earlier plan of this command asked already.
    package var asked = Questions()

    /// Nodes that are being asked, or were: a silent one is waited for by whoever needs it, and by nobody else.
    package struct Questions: Sendable {
        fileprivate var tasks: [NodeName: Task<Seen, Never>] = [:]
        package init() {}
    }

    package init(session: FleetSession, only: [NodeName]? = nil, maxDeletes: Int? = nil) {
        (self.session, self.only, self.maxDeletes) = (session, only, maxDeletes)
    }

    package func make() async throws -> Planned {
        let fleet = session.fleet
        let nodes = session.usedNodes.filter { only?.contains($0) ?? true }
        await session.reach(nodes)
        let (compiled, blobs, context) = try await compileInContext()
        if checksMemory { try Catalogue.checkMemory(compiled, context) }
        var steps: [Step] = []
        var satisfied: [ResourceID: String] = [:]
        var unreachableResources: [ResourceID: String] = [:]
        var lost: [NodeName: BasculeError] = [:]
        let questions = ask(nodes, compiled)
        let observations = await answers(nodes, questions)
        for node in nodes {
            switch observations[node] {
            case .failure(let error)?: lost[node] = error
            case .success(let seen)?:
                if seen == nil { steps += try await arrivalSteps(node) }
                let arrival = steps.last { $0.node == nil && $0.id.rawValue.hasSuffix("/\(node)") }?.id
                let result = try ResourcePlanner(
                    node: node, desired: compiled.resources[node] ?? [], observations: seen,
                    confirmWithin: fleet.caps.unconfirmed / .seconds(1)
                ).plan()
                try await checkCluster(node, result.steps, context)
                steps += result.steps.map { step in
                    var copy = step
                    if let arrival { copy.requires.append(arrival) }
                    return copy
                }
                satisfied.merge(result.satisfied) { $1 }
                unreachableResources.merge(result.unreachable) { $1 }
            case nil: break
            }
        }
        let migration = try await migrationSteps(compiled)
        steps += migration?.steps ?? []
        try check(caps: steps)
        let now = Date().timeIntervalSince1970
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: fleet.name, topology: fleet.activeTopology.rawValue,
            revision: session.revision, created: now,
            steps: steps, satisfied: satisfied, unreachable: unreachableResources, migration: migration?.outline)
        return Planned(
            plan: plan, compiled: compiled, blobs: blobs, lease: migration?.lease, unreachable: lost,
            late: nodes.filter { observations[$0] == nil }, asked: questions)
    }

    /// The fleet as resources, with the sources of the apps packed.
    package func compile() async throws -> (Compiled, [Digest: Blob]) {
        let (compiled, blobs, _) = try await compileInContext()
        return (compiled, blobs)
    }

    private func compileInContext() async throws -> (Compiled, [Digest: Blob], CompileContext) {
        let fleet = session.fleet
        var archives: [AppName: SourceArchive] = [:]
        var blobs: [Digest: Blob] = [:]
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            let bytes = try await AppArchive.make(app, name: name, fleetFolder: fleet.folder)
            let digest = Digest(of: bytes)
            archives[name] = SourceArchive(digest: digest, size: bytes.count)
            blobs[digest] = .bytes(bytes)
        }
        var (memory, cpus, releases): ([NodeName: Int], [NodeName: Int], [NodeName: DebianRelease]) = ([:], [:], [:])
        for node in fleet.nodeNames {
            if let facts = try session.store.facts(node) {
                // A stranger's numbers: no machine has less than 64 MiB or more than 1 PiB, or 65,536 processors.
                memory[node] = Int(min(max(facts.memory, 64 << 20), 1 << 50))
                cpus[node] = min(max(facts.processors, 1), 1 << 16)
                releases[node] = DebianRelease(rawValue: facts.codename)
            } else if case .lab(let lab)? = fleet.nodes[node] {
                releases[node] = lab.image == .debian13 ? .trixie : .bookworm
            }
        }
        var context = CompileContext(
            fleet: fleet, addresses: try await session.addresses(), memory: memory, cpus: cpus, releases: releases,
            archives: archives, positions: session.positions, digest: { Digest(of: $0) })
        for node in session.usedNodes { context.hostKeys[node] = try await session.pins(node).first?.line }
        context.watchEnded = [.opened, .finished].contains(try session.store.migrationState())
        let compiled = try Catalogue.compile(context)
        for (digest, path) in compiled.uploads { blobs[digest] = .file(path: path) }
        return (compiled, blobs, context)
    }

    /// Asks all nodes for all their resources at once, one round trip a node.
    private func ask(_ nodes: [NodeName], _ compiled: Compiled) -> Questions {
        var questions = asked
        for node in nodes where questions.tasks[node] == nil {
            questions.tasks[node] = Task { await look(node, compiled) }
        }
        return questions
    }

    /// What the nodes answered; nil as success where a node has no agent yet. With patience, those that are silent long
    /// after the others are left out: for three times as long as the slowest of the others took.
    private func answers(
        _ nodes: [NodeName], _ questions: Questions
    ) async -> [NodeName: Result<[Observation]?, BasculeError>] {
        var found: [NodeName: Result<[Observation]?, BasculeError>] = [:]
        guard let patience, nodes.count > 1 else {
            for node in nodes { found[node] = await questions.tasks[node]?.value.result }
            return found
        }
        let (news, teller) = AsyncStream.makeStream(of: Seen?.self)
        for task in nodes.compactMap({ questions.tasks[$0] }) { Task { teller.yield(await task.value) } }
        let clock = Task {
            while (try? await Task.sleep(for: .milliseconds(100))) != nil { teller.yield(nil) }
        }
        defer {
            clock.cancel()
            teller.finish()
        }
        let start = ContinuousClock.now
        var slowest = Duration.zero
        for await seen in news {
            if let seen {
                found[seen.node] = seen.result
                if case .success = seen.result { slowest = .now - start }
                if found.count == nodes.count { break }
            } else if slowest > .zero, .now - start > max(patience, slowest * 3) {
                break
            }
        }
        return found
    }

    /// What came of asking a node. A type of its own, as an optimized build (Swift 6.3) damages such a tuple in a task.
    fileprivate struct Seen: Sendable {
        var node: NodeName
        var result: Result<[Observation]?, BasculeError>
    }

    private func look(_ node: NodeName, _ compiled: Compiled) async -> Seen {
        do { return Seen(node: node, result: .success(try await observe(node, compiled))) } catch {
            let failure = BasculeError.wrapping(error, "the node could not be observed")
            return Seen(node: node, result: .failure(failure.placed(at: .node(name: node.rawValue, subject: nil))))
        }
    }

    private func observe(_ node: NodeName, _ compiled: Compiled) async throws -> [Observation]? {
        guard try session.isBootstrapped(node), try await session.endpoint(node) != nil else { return nil }
        let resources = compiled.resources[node] ?? []
        guard !resources.isEmpty else { return [] }
        let seen = try await session.observe(resources, on: node, purposes: compiled.secrets)
        // What the agent did by itself is not the plan's business: a plan does not fail for it.
        try? await session.collectEvents(node)
        return seen
    }

    /// Where something of PostgreSQL is to change the node is asked anew what data it holds: it may be another version's.
    private func checkCluster(_ node: NodeName, _ steps: [Step], _ context: CompileContext) async throws {
        guard session.fleet.services.postgresql != nil, try session.isBootstrapped(node),
            steps.contains(where: { Self.touchesPostgres($0) })
        else { return }
        guard case .facts(let facts) = try await session.link(node).ask(.facts) else {
            throw BasculeError(.protocolViolation, "the agent answered something else than facts")
        }
        try session.store.save(facts, of: node)
        try Catalogue.checkCluster(node, facts, context)
    }

    private static func touchesPostgres(_ step: Step) -> Bool {
        guard case .converge(let items) = step.action else { return false }
        return items.contains { $0.desired.origin.contains("service postgresql") }
    }

    /// A node that is not there, or has no agent, is planned: creating and bootstrapping it are steps.
    private func arrivalSteps(_ node: NodeName) async throws -> [Step] {
        var steps: [Step] = []
        let create = StepID("provision/\(node)")
        if case .lab? = session.fleet.nodes[node], try await session.endpoint(node) == nil {
            steps.append(
                Step(
                    id: create, phase: .provision, node: nil, title: "create the throwaway node \(node)",
                    action: .provision(node), reversal: .reversible(seconds: 1), estimate: 2))
        }
        steps.append(
            Step(
                id: StepID("bootstrap/\(node)"), phase: .provision, node: nil, title: "bootstrap the agent on \(node)",
                action: .bootstrap(node),
                requires: steps.map(\.id), reversal: .reversible(seconds: 2), estimate: 3))
        return steps
    }

    private func check(caps steps: [Step]) throws {
        let deletions = steps.reduce(0) { sum, step in
            guard case .converge(let items) = step.action else { return sum }
            return sum + items.count { $0.change?.action == .delete }
        }
        let cap = maxDeletes ?? session.fleet.caps.deletions
        guard deletions <= cap else {
            throw BasculeError(
                .capExceeded, "this plan would delete \(deletions) resources, and \(cap) are allowed at once",
                hint:
                    "if that is wanted: --max-deletes \(deletions) allows it this once, caps.deletions in the fleet file always"
            )
        }
    }
}

extension ErrorCode {
    /// A plan deletes more than the fleet allows.
    package static let capExceeded: ErrorCode = "cap-exceeded"
}
