import BasculeModel
import Testing

@testable import BasculePlanning

/// `bascule data`: one step a source, outside a migration's order.
@Suite struct DataStepsTests {
    private func steps(_ verb: DataVerb, _ sources: [String] = [], replacing: [String: String] = [:]) throws -> [Step] {
        let planner = try #require(try MigrationPlanner(try Example.context(replacing: replacing)))
        return try planner.dataSteps(verb, sources: sources)
    }

    @Test func everySourceHasItsStep() throws {
        let copy = try steps(.copy)
        #expect(Set(copy.map(\.id)) == ["data/copy/database", "data/copy/cache", "data/copy/uploads"])
        #expect(copy.allSatisfy { $0.phase == .copy && $0.node == "vps1" && $0.compensation == nil })
        guard case .data(.postgres(.verify(_, nil)))? = try steps(.verify, ["database"]).first?.action else {
            Issue.record("verify does not read both sides")
            return
        }
    }

    @Test func aSourceWithoutItsHostKeyIsRefusedByItsName() throws {
        var context = try Example.context()
        context.hostKeys = [:]
        let planner = try #require(try MigrationPlanner(context))
        let failure = #expect(throws: BasculeError.self) { try planner.dataSteps(.check, sources: []) }
        #expect(failure?.message.contains("uploads") == true && failure?.hint?.contains("hostKey") == true)
        #expect(try planner.dataSteps(.check, sources: ["database"]).count == 1)
        #expect(try !planner.dataSteps(.forget, sources: ["uploads"]).isEmpty)
    }

    @Test func aTableIsOfTheOnlyDatabase() throws {
        let found = try steps(.diff(table: "orders", limit: 5))
        #expect(found.map(\.id) == ["data/diff/database"])
        let failure = #expect(throws: BasculeError.self) { try steps(.diff(table: "orders", limit: 5), ["cache"]) }
        #expect(failure?.code == .invalidInput)
    }

    @Test func whatIsGivenUpLeavesNothingAtTheSource() throws {
        let all = try steps(.forget)
        #expect(
            all.map(\.id) == [
                "data/forget/following/database", "data/forget/database", "data/forget/cache", "data/forget/uploads",
                "data/forget/credentials",
            ])
        #expect(all[1].requires == [all[0].id], "a source that cannot be asked keeps its marks")
        #expect(all[4].requires == all.prefix(4).map(\.id))
        #expect(try steps(.forget, ["cache"]).map(\.id) == ["data/forget/cache"], "others' credentials stay")
    }

    @Test func anUnknownSourceIsNamed() {
        let failure = #expect(throws: BasculeError.self) { try steps(.check, ["databse"]) }
        #expect(failure?.message.contains("databse") == true)
        #expect(failure?.hint?.contains("database") == true)
    }

    @Test func whatTheFleetFileSaysReachesTheMovers() throws {
        let all = try steps(
            .check,
            replacing: [
                "schemas: [public, audit]}": "schemas: [public, audit], exclude: [audit.log], accept: [pooler]}",
                "into: durable}": "into: durable, rate: 400, accept: [evictionPolicy]}",
                "owner: shop}":
                    "owner: shop, exclude: ['*.tmp'], rate: 2048, references: [{database: shop, column: products.image, prefix: /uploads/}]}",
            ])
        for step in all {
            switch step.action {
            case .data(.postgres(let task)):
                #expect(task.move.exclude == ["audit.log"] && task.move.acceptedFindings == ["pooler"])
            case .data(.redis(let task)):
                #expect(task.move.maxCommandsPerSecond == 400 && task.move.accept == [.evictionPolicy])
            case .data(.files(let task, _)):
                #expect(task.move.exclude == ["*.tmp"] && task.move.maxKiBPerSecond == 2048)
                #expect(task.move.references?.map(\.column) == ["products.image"])
            default: Issue.record("\(step.id)")
            }
        }
    }
}
