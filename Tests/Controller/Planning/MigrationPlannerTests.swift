import BasculeCatalogue
import BasculeFleet
import BasculeModel
import Testing

@testable import BasculePlanning

@Suite struct MigrationPlannerTests {
    @Test func phasesComeInOrderAndIdsAreUnique() throws {
        let (steps, outline) = try Example.plan()
        // Sync and validate of different sources may overlap: a source is compared as soon as it was copied.
        let phases = steps.map { $0.phase == .validate ? .sync : $0.phase }
        #expect(phases == phases.sorted())
        #expect(
            Set(steps.map(\.phase)) == [
                .install, .copy, .rehearseSmoke, .freeze, .sync, .validate, .smoke, .decide, .switch, .open, .watch,
                .finish,
            ])
        #expect(Set(steps.map(\.id)).count == steps.count)
        #expect(outline.conductor == "vps1")
        #expect(steps.filter(\.phase.isConducted).allSatisfy { $0.node == "vps1" })
        #expect(steps.filter { $0.node == "saas" }.map(\.phase) == [.install])
        let ids = Set(steps.map(\.id))
        #expect(steps.flatMap(\.requires).allSatisfy(ids.contains))
    }

    /// Every conducted step comes after all of the phase before: a path leads from it back to the first. Only the sync
    /// does not wait until the fence has been proved; what it did is compared after that.
    @Test func conductedStepsFormOneOrder() throws {
        let steps = try Example.plan().steps.filter(\.phase.isConducted)
        let byID = Dictionary(uniqueKeysWithValues: steps.map { ($0.id, $0) })
        func before(_ step: Step) -> Set<StepID> {
            step.requires.reduce(into: []) { all, id in
                all.insert(id)
                if let need = byID[id] { all.formUnion(before(need)) }
            }
        }
        for step in steps {
            let source = step.id.rawValue.split(separator: "/").last
            let needed = Set(
                steps.filter { other in
                    if step.phase == .validate, other.phase == .sync {
                        return other.id.rawValue.split(separator: "/").last == source
                    }
                    if step.phase == .sync, other.id.rawValue.hasSuffix("-proof") { return false }
                    return other.phase < step.phase
                }.map(\.id))
            #expect(
                needed.isSubset(of: before(step)),
                "\(step.id) does not wait for \(needed.subtracting(before(step)).sorted())")
        }
        // Rights are noted while customers still write; nothing is taken before the page is there.
        let first = steps.filter(\.requires.isEmpty).map(\.id.rawValue)
        #expect(first == ["migration/freeze/database-capture", "migration/freeze/cache-capture"])
        #expect(byID["migration/freeze/maintenance"].map { Set($0.requires.map(\.rawValue)) } == Set(first))
        #expect(
            steps.filter { $0.id.rawValue.hasSuffix("-fence") }.allSatisfy {
                $0.requires == ["migration/freeze/maintenance"]
            })
        // Names, edge and the way back turn at the same time, and T0 waits for all of them.
        let turns = steps.filter { $0.phase == .switch }
        #expect(turns.count > 1 && turns.allSatisfy { $0.requires == ["migration/decide/go"] })
        #expect(byID["migration/open/t0"].map { Set($0.requires) } == Set(turns.map(\.id)))
    }

    /// What the plan announces is the longest chain from the maintenance page on, not the sum.
    @Test func theOutageIsThatOfTheLongestChain() throws {
        let (steps, outline) = try Example.plan()
        let sum = steps.filter { $0.phase.isConducted && $0.phase < .watch }.reduce(0) { $0 + $1.estimate }
        #expect(outline.outageExpected > 1 && outline.outageExpected < sum * 0.7)
        let slow = try Example.plan(replacing: ["approve: auto": "approve: manual"]).outline
        #expect(abs(slow.outageExpected - outline.outageExpected - 60) < 0.001)
    }

    @Test func whatMustBeUndoneHasItsCompensation() throws {
        let steps = try Example.plan().steps
        for step in steps where step.phase.isConducted {
            let needed: Bool
            switch step.action {
            case .migrate(.edge), .migrate(.switchDNS), .migrate(.fence(.postgres(.fenceAcquire))),
                .migrate(.fence(.redis(.fenceAcquire))), .data(.postgres(.follow(.backBegin, _))):
                needed = true
            default: needed = false
            }
            #expect((step.compensation != nil) == needed, "\(step.id)")
            #expect((step.cancellation == .compensating) == needed, "\(step.id)")
        }
        #expect(steps.count { $0.compensation != nil } == 6)
        for step in steps {
            switch (step.action, step.compensation) {
            case (.migrate(.switchDNS(let there)), .migrate(.switchDNS(let back))?):
                #expect(there.to == ["10.9.0.3"] && there.from == ["10.9.0.2"] && back == there.reversed)
            case (.migrate(.edge(_, let mode)), .migrate(.edge(_, let back))?):
                #expect((mode, back) == (.maintenance, .old) || (mode, back) == (.new, .maintenance))
            default: break
            }
        }
        #expect(
            steps.filter { $0.phase > .decide && $0.phase.isConducted && $0.phase >= .open }.allSatisfy {
                $0.compensation == nil
            })
    }

    @Test func addressesNamesAndPoliciesReachTheSteps() throws {
        let context = try Example.context()
        let planner = try #require(try MigrationPlanner(context))
        #expect(planner.lease == MigrationLease(seconds: 1800, ifAlone: .rollback, attempt: 3))
        let steps = try planner.plan().steps
        let edges = steps.compactMap { step in if case .migrate(.edge(let link, _)) = step.action { link } else { nil }
        }
        #expect(
            Set(edges) == [
                EdgeLink(host: "10.9.0.2", port: 2222, user: "bascule", hostKey: "ssh-ed25519 AAAA", lease: 60)
            ])
        let watches = steps.compactMap { step in
            if case .migrate(.watch(let criteria)) = step.action { criteria } else { nil }
        }
        let watch = try #require(watches.first)
        #expect(watch.duration == context.fleet.migration?.rollback.watch.seconds)
        #expect(watch.usersUnableToLogIn == 0.1)
        #expect(watch.serverErrors == 0.01)
        #expect(watch.dataLoss)
        #expect(watch.minimumUsers == 20)
        #expect(watch.loginPath == "/api/login" && watch.journey != nil && watch.database?.targetDatabase == "shop")
        #expect(
            steps.contains {
                $0.action
                    == .migrate(.forgetSecrets(["SOURCE_DATABASE_URL", "SOURCE_REDIS_URL", "SOURCE_UPLOADS_KEY"]))
            })
        #expect(
            steps.contains {
                $0.action == .migrate(.decide(DecisionSpec(automatic: true, patience: 900, ifAlone: .rollback)))
            })
    }

    @Test func nothingIsFrozenBeforeATestAlertHasArrived() throws {
        #expect(try !Example.plan().steps.contains { $0.id.rawValue.hasSuffix("test-alert") })
        let steps = try Example.plan(replacing: [
            "[database, cache, web, app]": "[database, cache, web, app, monitoring]",
            "  nginx:\n": "  monitoring: {webhook: !secret HOOK}\n  nginx:\n",
            "approve: auto": "approve: auto\n  testAlert: 6h",
        ]).steps
        let gate = try #require(steps.first { $0.id == "migration/rehearse-smoke/test-alert" })
        #expect(gate.phase < .freeze && gate.node == "vps1")
        #expect(gate.action == .migrate(.testAlert(channels: ["webhook"], fresh: 6 * 3600)))
    }

    @Test func anUnknownAddressIsPlannedAsSuch() throws {
        var context = try Example.context()
        context.addresses = [:]
        let steps = try #require(try MigrationPlanner(context)).plan().steps
        #expect(
            steps.contains {
                if case .migrate(.switchDNS(let change)) = $0.action { change.to == ["address-of.vps1"] } else { false }
            })
    }

    @Test func everyRecordIsSwitchedAndSwitchedBack() throws {
        let steps = try Example.plan(replacing: [
            "shop.example: {A: vps1}":
                "shop.example: {A: vps1, AAAA: \"2001:db8::7\"}\n      www.shop.example: {A: vps1}"
        ]).steps
        #expect(Set(steps.map(\.id)).count == steps.count, "two steps have one id: the second would never run")
        let switched = steps.compactMap { step in
            if case .migrate(.switchDNS(let change)) = step.action { "\(change.name) \(change.type)" } else { nil }
        }
        #expect(switched.sorted() == ["shop.example A", "shop.example AAAA", "www.shop.example A"])
    }

    @Test func aSourceMayHaveAnyName() throws {
        let steps = try Example.plan(replacing: ["    cache: {redis:": "    credentials: {redis:"]).steps
        #expect(Set(steps.map(\.id)).count == steps.count)
    }

    @Test func aJourneyOfTwoSitesIsWalkedAtBoth() throws {
        var context = try Example.context()
        var second = try #require(context.compiled.sites.first)
        second.innerURL = "http://127.0.0.1:9999"
        context.compiled.sites.append(second)
        let steps = try #require(try MigrationPlanner(context)).plan().steps
        #expect(Set(steps.map(\.id)).count == steps.count)
        #expect(steps.count { if case .migrate(.journey) = $0.action { true } else { false } } == 4)
    }

    @Test func aRollbackOverItsBudgetIsRefused() throws {
        #expect(code { try Example.plan(replacing: ["budget: 5m": "budget: 1s"]) } == .migrationRefused)
        let outline = try Example.plan().outline
        #expect(outline.rollbackBudget == 300 && outline.rollbackExpected > 1 && outline.rollbackExpected < 60)
    }

    @Test func mySQLGoesThroughTheSamePhases() throws {
        let postgres = "database: {postgres: !secret SOURCE_DATABASE_URL, into: shop, schemas: [public, audit]}"
        let steps = try Example.plan(replacing: [
            postgres: "legacy: {mysql: !secret SOURCE_DATABASE_URL, into: shop, rules: {tinyint(1): smallint}}"
        ]).steps
        var found: [String: MySQLMove] = [:]
        for step in steps {
            switch step.action {
            case .data(.mysql(let task)), .migrate(.fence(.mysql(let task))), .migrate(.prove(.mysql(let task))):
                found["\(step.phase.rawValue) \(task.verb.rawValue)"] = task.move
            default: break
            }
        }
        #expect(
            Set(found.keys) == [
                "copy preflight", "copy copy", "freeze fenceCapture", "freeze fenceAcquire", "freeze fenceProve",
                "sync sync", "validate validate", "finish finish",
            ])
        #expect(found.values.allSatisfy { $0.schema == "public" && $0.rules == ["tinyint(1)": "smallint"] })
        let released = steps.contains {
            if case .migrate(.fence(.mysql(let task)))? = $0.compensation { task.verb == .fenceRelease } else { false }
        }
        #expect(released)
    }

    /// Their fences lock accounts of one name, which may be on one server.
    @Test func mySQLFencesAreTakenOneAfterTheOther() throws {
        let postgres = "database: {postgres: !secret SOURCE_DATABASE_URL, into: shop, schemas: [public, audit]}"
        let two = """
            legacy: {mysql: !secret SOURCE_DATABASE_URL, into: shop}
                older: {mysql: !secret SOURCE_MYSQL_URL, into: shop}
            """
        let steps = try Example.plan(replacing: [postgres: two]).steps
        func requires(_ name: String) -> [StepID] {
            steps.first { $0.id.rawValue == "migration/freeze/\(name)" }?.requires ?? []
        }
        let proofs: Set<StepID> = ["migration/freeze/legacy-proof", "migration/freeze/older-proof"]
        let waiting = [requires("legacy-fence"), requires("older-fence")].map { !proofs.isDisjoint(with: $0) }
        #expect(Set(waiting) == [true, false], "\(requires("legacy-fence")) \(requires("older-fence"))")
    }

    /// What tidies up logs in once more.
    @Test func credentialsArePurgedAfterTheLastUseOfThem() throws {
        let finish = try Example.plan().steps.filter { $0.phase == .finish }
        let purge = try #require(finish.first { $0.id == "migration/finish/credentials" })
        #expect(Set(purge.requires) == Set(finish.map(\.id)).subtracting([purge.id]) && finish.count > 2)
    }

    @Test func twoSourcesOfOneDatabaseTakeTurnsAndSchemasOfTheirOwn() throws {
        let postgres = "database: {postgres: !secret SOURCE_DATABASE_URL, into: shop, schemas: [public, audit]}"
        let both = "\(postgres)\n    legacy: {mysql: !secret SOURCE_MYSQL_URL, into: shop}"
        let steps = try Example.plan(replacing: [postgres: both]).steps
        let copy = steps.first { $0.id == "migration/copy/legacy-preflight" }
        #expect(copy?.requires == ["migration/copy/database-copy"])
        guard case .data(.mysql(let task))? = copy?.action else {
            Issue.record("no step")
            return
        }
        #expect(task.move.schema == "legacy")
        let clash = both.replacing("into: shop}", with: "into: shop, schema: audit}")
        let error = #expect(throws: BasculeError.self) { try Example.plan(replacing: [postgres: clash]) }
        #expect(error?.code == .migrationRefused && error?.message.contains("audit") == true)
    }

    @Test func aSourceWithoutAKnownHostKeyIsRefused() throws {
        let elsewhere = ["deploy@saas:/var/www": "deploy@elsewhere.example:/var/www"]
        let error = #expect(throws: BasculeError.self) { try Example.plan(replacing: elsewhere) }
        #expect(error?.code == .migrationRefused)
        #expect(error?.message.contains("elsewhere.example") == true)
    }

    @Test func aNodeThatIsNotUpYetHasNoHostKeyYet() throws {
        var context = try Example.context()
        context.hostKeys = [:]
        let planner = try #require(try MigrationPlanner(context))
        #expect(try planner.plan().steps.contains { $0.id == "migration/copy/uploads-copy" })
    }

    @Test func withoutAMigrationThereIsNone() throws {
        #expect(try MigrationPlanner(try Example.context { $0.migration = nil }) == nil)
    }
}
