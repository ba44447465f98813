import BasculeModel
import Testing

@testable import BasculePlanning

@Suite struct ResourcePlannerTests {
    private let web = unit("nginx.service", restartOn: ["/etc/nginx.conf"])
    private let configuration = file("/etc/nginx.conf")

    @Test func nothingToDoIsNoStep() throws {
        let result = try plan([deb("nginx"), configuration, web], changed: [])
        #expect(result.steps.isEmpty)
        #expect(Set(result.satisfied.keys) == ["n/package:nginx", configuration.id, web.id])
        #expect(result.satisfied["n/package:nginx"] == "installed 1")
    }

    @Test func aLoneChangeIsExactAndCarriesWhatWasSeen() throws {
        let result = try plan([configuration], changed: [configuration.id])
        let step = try #require(result["n/file:/etc/nginx.conf"])
        #expect(step.certainty == .exact && step.requires.isEmpty && step.node == "n" && step.phase == .install)
        #expect(step.items.map(\.before) == [Digest(rawValue: String(repeating: "a", count: 64))])
        #expect(step.items.first?.change?.action == .update)
        #expect(step.title == "update file /etc/nginx.conf")
    }

    @Test func aUnitReactsWhenItsFileChangesAndOnlyThen() throws {
        let changed = try plan([web, configuration], changed: [configuration.id])
        #expect(changed.steps.map(\.id).sorted() == ["n/file:/etc/nginx.conf", "n/unit:nginx.service"])
        let step = try #require(changed["n/unit:nginx.service"])
        #expect(step.certainty == .conditional(reason: "after n/file:/etc/nginx.conf"))
        #expect(step.items.map(\.before) == [nil])
        #expect(step.requires == ["n/file:/etc/nginx.conf"])
        #expect(changed.satisfied[web.id] == nil)
        let other = file("/etc/other")
        #expect(try plan([web, configuration, other], changed: [other.id]).steps.map(\.id) == ["n/file:/etc/other"])
    }

    @Test func aProbeIsAskedAgainWhenItsServiceChangesAndOnlyThen() throws {
        let probe = wanted(.probe(ProbeSpec("nginx", .command(["true"], user: "root"))), requires: [web.id])
        let all = [deb("nginx"), deb("bc"), configuration, web, probe]
        // What it speaks for changes: it is asked after that, whatever it says now.
        let changed = try plan(all, changed: [configuration.id])
        let step = try #require(changed["n/probe:nginx"])
        #expect(step.title == "verify that nginx serves" && step.requires == ["n/unit:nginx.service"])
        #expect(step.certainty == .conditional(reason: "after n/unit:nginx.service"))
        // It alone does not serve: that is all there is to do.
        let silent = try plan(all, changed: [probe.id])
        #expect(silent.steps.map(\.id) == ["n/probe:nginx"] && silent.steps.first?.certainty == .exact)
        #expect(silent.steps.first?.items.first?.change?.action == .verify)
        // A package that has nothing to do with it, and nothing at all.
        #expect(try plan(all, changed: ["n/package:bc"])["n/probe:nginx"] == nil)
        #expect(try plan(all, changed: []).steps.isEmpty)
    }

    @Test func aProbeOfAnAppBelongsToItsDeployment() throws {
        let app = wanted(
            .app(
                AppSpec(
                    app: "shop", release: Digest(rawValue: "r"), root: "/srv", ports: [1], unit: "u", healthPath: "/",
                    healthTimeout: 1, drain: 1, upstreamFile: nil, upstream: "x")))
        let probe = wanted(.probe(ProbeSpec("app.shop", .command(["true"], user: "root"))), requires: [app.id])
        #expect(try plan([app, probe], changed: [probe.id])["n/probe:app.shop"]?.phase == .deploy)
    }

    @Test func packagesOfANodeAreOneStepBeforeWhatNeedsThem() throws {
        let all = [deb("nginx"), deb("redis"), deb("old", .absent), deb("there"), configuration, web]
        let seenAll = all.map {
            seen($0, !["n/package:nginx", "n/package:redis", configuration.id, web.id].contains($0.id))
        }
        let result = try ResourcePlanner(node: "n", desired: all, observations: seenAll).plan()
        let packages = try #require(result["n/packages"])
        #expect(packages.items.map(\.desired.id) == ["n/package:nginx", "n/package:redis", "n/package:old"])
        #expect(packages.title == "packages nginx redis -old")
        #expect(packages.certainty == .exact && packages.requires.isEmpty)
        #expect(result["n/file:/etc/nginx.conf"]?.requires == ["n/packages"])
        #expect(result["n/file:/etc/nginx.conf"]?.certainty == .conditional(reason: "packages are installed first"))
        #expect(result["n/unit:nginx.service"]?.requires == ["n/packages", "n/file:/etc/nginx.conf"])
    }

    @Test func packagesFromANewRepositoryAreConditional() throws {
        let repository = wanted(
            .aptRepository(
                AptRepositorySpec("pgdg", uris: ["https://example.org"], suites: ["x"], components: ["main"], key: "k"))
        )
        let result = try plan([repository, deb("nginx")], changed: [repository.id, "n/package:nginx"])
        #expect(result["n/packages"]?.requires == [StepID(repository.id.rawValue)])
        #expect(result["n/packages"]?.certainty == .conditional(reason: "after n/aptRepository:pgdg"))
        #expect(result["n/packages"]?.items.map(\.before) == [nil])
    }

    @Test func withoutAnAgentEverythingIsConditional() throws {
        let result = try ResourcePlanner(node: "n", desired: [deb("nginx"), configuration, web], observations: nil)
            .plan()
        #expect(result.steps.count == 3 && result.satisfied.isEmpty)
        #expect(result.steps.allSatisfy { $0.certainty == .conditional(reason: "the node has no agent yet") })
        #expect(result.steps.allSatisfy { $0.items.allSatisfy { $0.before == nil && $0.change == nil } })
    }

    @Test func whatCannotBeObservedIsConditionalWithItsReason() throws {
        let observations = [
            Observation(id: configuration.id, observed: .unobservable(reason: "permission denied"), digest: "x")
        ]
        let result = try ResourcePlanner(node: "n", desired: [configuration], observations: observations).plan()
        #expect(result.steps.map(\.certainty) == [.conditional(reason: "permission denied")])
    }

    @Test func whatCanNeverBeReachedIsToldAndNoStep() throws {
        let setting = wanted(.sysctl(SysctlSpec("kernel.x", "1")))
        let result = try plan([setting], changed: [setting.id])
        #expect(result.steps.isEmpty && result.satisfied.isEmpty)
        #expect(Set(result.unreachable.keys) == [setting.id])
    }

    @Test func aCommandIsOpaqueAndHasNoWayBack() throws {
        let command = wanted(.command(CommandSpec("migrate", command: ["/bin/true"], unless: ["/bin/false"])))
        let step = try #require(try plan([command], changed: [command.id]).steps.first)
        #expect(step.certainty == .opaque && step.cancellation == .abortable)
        guard case .pointOfNoReturn = step.reversal else { return #expect(Bool(false), "\(step.reversal)") }
    }

    /// What does not change in between still carries the order.
    @Test func orderGoesThroughWhatIsSatisfied() throws {
        let (first, middle, last) = (
            file("/1"), file("/2", requires: ["n/file:/1"]), file("/3", requires: ["n/file:/2"])
        )
        let result = try plan([last, middle, first], changed: [first.id, last.id])
        #expect(result["n/file:/3"]?.requires == ["n/file:/1"])
    }

    /// The plan does not depend on the order in which the catalogue lists resources.
    @Test func reactionsTravelWhateverTheOrder() throws {
        let app = wanted(
            .app(
                AppSpec(
                    app: "shop", release: "r", root: "/srv/shop", ports: [3000], unit: "bascule-shop",
                    healthPath: "/healthz", healthTimeout: 5, drain: 1,
                    upstreamFile: nil, upstream: "shop")))
        let appUnit = unit("bascule-shop@.service", restartOn: ["/etc/env"])
        let env = file("/etc/env")
        for order in [[app, appUnit, env], [env, appUnit, app]] {
            let observations = order.map { desired -> Observation in
                if case .app = desired.resource {
                    return Observation(
                        id: desired.id,
                        observed: .app(
                            AppObserved(current: "r", upToDate: [3000], healthy: [3000], upstreamPorts: [3000])),
                        digest: "x")
                }
                return seen(desired, desired.id != env.id)
            }
            let result = try ResourcePlanner(node: "n", desired: order, observations: observations).plan()
            #expect(Set(result.steps.map(\.id)) == ["n/file:/etc/env", "n/unit:bascule-shop@.service", "n/app:shop"])
        }
    }
}
