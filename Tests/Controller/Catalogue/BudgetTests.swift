import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import Testing

@Suite struct BudgetTests {
    private func context(
        _ memory: Int?, declared: String = "", caps: String = "", maxMemory: String = "64MiB"
    ) throws -> CompileContext {
        let text = """
            fleet: budget
            nodes: {n1: {address: 192.0.2.1\(declared)}}
            topologies:
              single: {n1: [database, cache]}
            services:
              postgresql: {databases: {shop: {}}}
              redis: {cache: {maxMemory: \(maxMemory)}}
            \(caps)
            """
        let parsed = try FleetFile.parse(text: text, path: "/nowhere/fleet.yaml")
        return CompileContext(
            fleet: parsed.fleet, memory: memory.map { ["n1": $0] } ?? [:], positions: parsed.positions,
            digest: { Digest(of: $0) })
    }

    private func budget(_ context: CompileContext) throws -> MemoryBudget {
        try #require(try Catalogue.compile(context).budgets.first)
    }

    @Test func theMachineItselfHasItsShare() throws {
        let budget = try budget(try context(4 << 30))
        let shares = Dictionary(budget.shares.map { ($0.service, $0.bytes) }, uniquingKeysWith: { $1 })
        #expect((128 << 20...256 << 20).contains(shares["system"] ?? 0), "kernel, systemd and the agent")
        #expect(shares["page cache"] == (4 << 30) / 10)
        #expect(budget.sum == budget.shares.reduce(0) { $0 + $1.bytes } && budget.fits && budget.left > 0)
        #expect(budget.shares.allSatisfy { !$0.why.isEmpty })
        #expect(budget.shares.map(\.bytes) == budget.shares.map(\.bytes).sorted(by: >))
    }

    /// What `bascule init` writes fits the servers that the guide recommends, and not the one that it calls undersized.
    @Test(arguments: ServerPlans.all) func theStackFitsWhatIsRecommended(_ plan: ServerPlan) throws {
        let parsed = try FleetFile.parse(text: StackTemplate().text, path: "/nowhere/fleet.yaml")
        let archives = parsed.fleet.apps.mapValues { _ in SourceArchive(digest: Digest(of: ""), size: 0) }
        let context = CompileContext(
            fleet: parsed.fleet, addresses: ["vps1": "192.0.2.1", "rehearsal": "192.0.2.2"], archives: archives,
            positions: parsed.positions, digest: { Digest(of: $0) })
        #expect(Catalogue.fits(plan, "vps1", context) == (plan.memoryGB >= 4))
    }

    @Test func whoKnowsTheMemory() throws {
        #expect(try budget(try context(nil)).origin == .assumed)
        #expect(try budget(try context(3 << 30)).origin == .measured)
        let declared = try budget(try context(3 << 30, declared: ", memory: 1GiB"))
        #expect(declared.origin == .declared && declared.memory == 1 << 30)
    }

    @Test func whatDoesNotFitIsRefusedAtItsPlace() throws {
        // 600 MiB for Redis alone.
        let small = try context(1 << 30, maxMemory: "900MiB")
        let compiled = try Catalogue.compile(small)
        guard compiled.budgets.first?.shares.contains(where: { $0.service.hasPrefix("redis") }) == true else { return }
        let error = #expect(throws: BasculeError.self) { try Catalogue.checkMemory(compiled, small) }
        #expect(
            error?.code == "catalogue-memory" && error?.place == .file(path: "/nowhere/fleet.yaml", line: 4, column: 12)
        )
        #expect(error?.message.contains("n1 may use") == true && error?.message.contains("it has 1.0 GiB") == true)
        #expect(error?.hint?.contains("Hetzner CX21 with 4 GB would fit") == true, "\(error?.hint ?? "")")
        #expect(error?.cause?.contains("redis") == true)
        // The same on a server that is large enough, by choice, or where nobody knows yet.
        for good in [
            try context(8 << 30, maxMemory: "900MiB"), try context(nil, maxMemory: "900MiB"),
            try context(1 << 30, caps: "caps: {memory: 300}", maxMemory: "900MiB"),
        ] { try Catalogue.checkMemory(try Catalogue.compile(good), good) }
    }

    @Test func aServerOfThePriceListFitsOrNot() throws {
        let context = try context(1 << 30, maxMemory: "2GiB")
        guard try budget(context).shares.contains(where: { $0.service.hasPrefix("redis") }) else { return }
        let fitting = ServerPlans.all.filter { Catalogue.fits($0, "n1", context) == true }
        #expect(fitting.allSatisfy { $0.memoryGB > 1 })
    }
}
