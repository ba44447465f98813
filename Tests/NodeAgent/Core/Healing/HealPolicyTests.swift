import BasculeModel
import Testing

@testable import BasculeAgentCore

/// Every limit of healing, as a table: what differs, what is so around it, what follows.
struct HealPolicyTests {
    typealias At = HealPolicy.Circumstances
    private static let file = Resource.file(FileSpec("/srv/a.conf", Content("x")))
    private static let edited = Observed.file(FileObserved(type: .file, digest: "a", desiredDigest: "b"))
    private static func unit(_ name: String) -> Resource { .unit(UnitSpec(name)) }
    private static func seen(_ active: String, file: String = "enabled", pending: Bool = false) -> Observed {
        .unit(UnitObserved(load: "loaded", active: active, unitFile: file, restartPending: pending))
    }

    private func decide(_ resource: Resource, _ observed: Observed, _ at: At) throws -> HealPolicy.Answer {
        guard case .change(let change) = resource.verdict(observed) else {
            throw BasculeError(.defect, "the case is in order")
        }
        return HealPolicy.decide(resource, observed, change, at)
    }

    private static func at(_ change: (inout At) -> Void) -> At {
        var at = At()
        at.now = 1000
        change(&at)
        return at
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var resource: Resource
        var observed: Observed
        var at: At
        var answer: HealPolicy.Answer

        init(
            _ name: String, _ resource: Resource, _ observed: Observed, _ answer: HealPolicy.Answer,
            _ change: (inout At) -> Void = { _ in }
        ) {
            (testDescription, self.resource, self.observed, self.answer) = (name, resource, observed, answer)
            at = HealPolicyTests.at(change)
        }
    }

    static let cases: [Case] = [
        Case("an edited file", file, edited, .heal),
        Case("a held file", file, edited, .leave(.hold, until: 2000)) {
            $0.hold = Hold(resource: nil, since: 0, until: 2000, reason: "")
        },
        Case("a file of a running segment", file, edited, .leave(.segment, until: nil)) { $0.isInSegment = true },
        Case("a file edited by somebody logged in", file, edited, .leave(.session, until: nil)) {
            $0.session = .init(graceEnds: nil)
        },
        Case("whose session ended a moment ago", file, edited, .leave(.session, until: 1600)) {
            $0.session = .init(graceEnds: 1600)
        },
        Case("whose session ended ten minutes ago", file, edited, .heal) { $0.session = .init(graceEnds: 1000) },
        Case("a file during the freeze", file, edited, .leave(.migration, until: nil)) { $0.isMigrating = true },
        Case("a file that was healed too often", file, edited, .leave(.backoff, until: 1004)) { $0.backoff = 1004 },
        Case("a file of a stateful service", file, edited, .leave(.stateful, until: nil)) {
            $0.statefulPaths = ["/srv/a.conf"]
        },
        Case("a file while packages are installed", file, edited, .heal) { $0.isPackaging = true },
        Case("a failed unit", unit("nginx.service"), seen("failed"), .heal),
        Case("a failed unit while somebody is logged in", unit("nginx.service"), seen("failed"), .heal) {
            $0.session = .init(graceEnds: nil)
        },
        Case("a failed unit during the freeze", unit("nginx.service"), seen("failed"), .heal) { $0.isMigrating = true },
        Case(
            "a failed unit while the machine goes down", unit("a.service"), seen("failed"),
            .leave(.shutdown, until: 1002)
        ) { $0.isShuttingDown = true },
        Case("a held unit that failed", unit("a.service"), seen("failed"), .leave(.hold, until: nil)) {
            $0.hold = Hold(resource: "n/unit:a.service", since: 0, until: nil, reason: "")
        },
        Case("a unit that something stopped", unit("nginx.service"), seen("inactive"), .heal),
        Case("a unit that somebody stopped", unit("nginx.service"), seen("inactive"), .leave(.session, until: nil)) {
            $0.session = .init(graceEnds: nil)
        },
        Case(
            "a unit that somebody masked", unit("a.service"), seen("inactive", file: "masked"),
            .leave(.session, until: 1600)
        ) { $0.session = .init(graceEnds: 1600) },
        Case("a unit that dpkg stopped", unit("nginx.service"), seen("inactive"), .leave(.packages, until: 1002)) {
            $0.isPackaging = true
        },
        Case(
            "a unit that wants a restart", unit("nginx.service"), seen("active", pending: true),
            .leave(.apply, until: nil)),
        Case("a stopped database", unit("postgresql@15-main.service"), seen("inactive"), .leave(.stateful, until: nil)),
        Case("a crashed database", unit("postgresql@15-main.service"), seen("failed"), .heal),
        Case(
            "a database that wants a restart", unit("redis-server@cache.service"), seen("active", pending: true),
            .leave(.stateful, until: nil)),
        Case("an exporter of a database", unit("redis_exporter.service"), seen("inactive"), .heal),
        Case(
            "a missing package", .package(PackageSpec("bc")),
            .package(PackageObserved(version: nil, status: "not-installed")), .heal),
        Case(
            "a package removed by somebody", .package(PackageSpec("bc")),
            .package(PackageObserved(version: nil, status: "not-installed")), .leave(.session, until: nil)
        ) { $0.session = .init(graceEnds: nil) },
        Case(
            "another version", .package(PackageSpec("bc", version: "1")),
            .package(PackageObserved(version: "2", status: "installed")), .leave(.apply, until: nil)),
        Case(
            "a missing database server", .package(PackageSpec("postgresql-15")),
            .package(PackageObserved(version: nil, status: "not-installed")), .leave(.stateful, until: nil)),
        Case(
            "a missing role", .postgresRole(PostgresRoleSpec("shop")),
            .postgresRole(PostgresRoleObserved(exists: false)), .heal),
        Case(
            "a role of a fenced source", .postgresRole(PostgresRoleSpec("shop")),
            .postgresRole(PostgresRoleObserved(exists: false)), .leave(.migration, until: nil)
        ) { $0.isFenced = true },
        Case(
            "a missing database", .postgresDatabase(PostgresDatabaseSpec("shop", owner: "shop")),
            .postgresDatabase(PostgresDatabaseObserved(owner: nil)), .leave(.stateful, until: nil)),
        Case(
            "a command", .command(CommandSpec("x", command: ["a"], unless: ["b"])),
            .command(CommandObserved(done: false)), .leave(.apply, until: nil)),
    ]

    @Test(arguments: cases) func decides(_ one: Case) throws {
        #expect(try decide(one.resource, one.observed, one.at) == one.answer)
    }

    @Test(arguments: [
        ("postgresql.service", true), ("postgresql@15-main.service", true), ("redis-server@durable.service", true),
        ("pgbouncer.service", true), ("postfix@-.service", true), ("postgresqlish.service", false),
        ("prometheus-postgres-exporter.service", false), ("nginx.service", false),
        ("postgresql-exporter.service", false),
    ])
    func statefulUnits(name: String, expected: Bool) { #expect(Stateful.isUnit(name) == expected) }

    @Test func aStatefulUnitsFilesAreItsOwn() {
        let unit = DesiredResource(
            .unit(UnitSpec("pgbouncer.service", reloadOn: ["/srv/p.ini"], restartOn: ["/srv/q.ini"])), on: "n",
            origin: "t")
        let other = DesiredResource(.unit(UnitSpec("nginx.service", reloadOn: ["/srv/n.conf"])), on: "n", origin: "t")
        #expect(Stateful.paths([unit, other]) == Stateful.directories.union(["/srv/p.ini", "/srv/q.ini"]))
    }
}
