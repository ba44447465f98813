import BasculeConducting
import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCommands

@Suite struct NowTests {
    private func fleet(migrating: Bool = true) -> Fleet {
        var fleet = Fleet()
        fleet.migration = migrating ? Migration() : nil
        return fleet
    }

    private func activity(
        _ phase: Phase = .sync, conducted: Bool = true, ended: SegmentOutcome.Status? = nil, waiting: Bool = false,
        compensating: Bool = false, lease: Double? = 1200
    ) -> AgentStatus.Activity {
        AgentStatus.Activity(
            segment: "s", plan: "p", phase: phase, running: ended == nil ? ["copy again"] : [],
            next: ended == nil ? "compare" : nil, stepsDone: 1, stepsTotal: 9,
            isCompensating: compensating, waitingForDecision: waiting, conducted: conducted,
            leaseLeft: ended == nil ? lease : nil, ended: ended)
    }

    private func status(_ activities: [AgentStatus.Activity] = [], t0: T0State? = nil, edge: EdgeMode? = nil)
        -> AgentStatus
    {
        AgentStatus(
            machine: "m", version: "0.1.0", epoch: 1, uptime: 1, activities: activities,
            migrationAttempt: t0 == nil ? 0 : 1, t0: t0, edge: edge, lastSequence: 1)
    }

    private func judge(
        _ statuses: [NodeName: AgentStatus], silent: [String] = [], state: MigrationState = .before,
        migrating: Bool = true
    ) -> NowScreen {
        NowScreen.judge(fleet(migrating: migrating), statuses, silent, state: state)
    }

    @Test func beforeTheMigrationTheOldSystemServes() {
        let screen = judge(["vps1": status()])
        #expect(screen.verdict == .safe)
        #expect(screen.serves == "the old system" && screen.takesWrites == "the old system")
        #expect(screen.rollback.hasPrefix("free"))
    }

    @Test func withoutAMigrationAndAfterItTheNewSystemServes() {
        for screen in [
            judge(["vps1": status()], migrating: false), judge(["vps1": status(t0: .open)], state: .finished),
        ] {
            #expect(
                screen.verdict == .safe && screen.serves == "the new system" && screen.takesWrites == "the new system")
        }
    }

    @Test func aServiceThatDoesNotServeCountsOnceCustomersDependOnIt() {
        var told = status()
        told.services = [
            ServiceState("nginx", serves: true, detail: ""), ServiceState("app.shop", serves: false, detail: "refused"),
        ]
        let screen = judge(["vps1": told], migrating: false)
        #expect(screen.verdict == .degraded && screen.why.contains("app.shop on vps1"), "\(screen)")
        #expect(judge(["vps1": told]).verdict == .safe, "the old system serves")
    }

    @Test func anOrdinaryApplyIsToldAsSuch() {
        let screen = judge(["vps1": status([activity(.install, conducted: false, lease: nil)])])
        #expect(screen.verdict == .safe && screen.why == "1 segments run" && screen.phase == "install")
        #expect(screen.serves == "the old system" && screen.running == ["copy again"] && screen.next == "compare")
    }

    @Test func inTheFreezeNobodyTakesWrites() {
        let screen = judge(
            ["vps1": status([activity()], t0: .pending), "saas": status(edge: .maintenance)], state: .conducted)
        #expect(screen.verdict == .safe && screen.leaseLeft == 1200)
        #expect(screen.serves.hasPrefix("nobody") && screen.takesWrites.hasPrefix("nobody"))
        #expect(screen.why == "the cutover is under way")
        #expect(screen.rollback.contains("nothing is lost"))
        let back = judge(
            ["vps1": status([activity(compensating: true)], t0: .rolledBack), "saas": status(edge: .old)],
            state: .conducted)
        #expect(back.why.contains("going back") && back.serves == "the old system")
    }

    @Test func aQuestionAsksForAnAnswer() {
        let screen = judge(["vps1": status([activity(.decide, waiting: true)], t0: .pending)], state: .conducted)
        #expect(screen.verdict == .actNow && screen.waitingForDecision)
        #expect(screen.why.contains("bascule go"))
    }

    @Test func whileWatchingTheNewSystemServesAndGoingBackIsNotFree() {
        let screen = judge(
            ["vps1": status([activity(.watch, lease: nil)], t0: .open), "saas": status(edge: .new)], state: .conducted)
        #expect(screen.verdict == .safe)
        #expect(screen.serves == "the new system" && screen.takesWrites == "the new system")
        #expect(screen.rollback.hasPrefix("no longer free"))
    }

    @Test func aRollbackThatIsStuckNeedsSomebody() {
        let screen = judge(["vps1": status([activity(ended: .stuck)], t0: .rolledBack)])
        #expect(screen.verdict == .actNow && screen.why.contains("rollback did not come to its end"))
        #expect(judge(["vps1": status([activity(ended: .rolledBack)], t0: .rolledBack)]).verdict == .safe)
    }

    @Test func aSilentNodeIsDegradedUnlessSomethingIsWorse() {
        let screen = judge(["vps1": status()], silent: ["saas: no answer"])
        #expect(screen.verdict == .degraded && screen.unreachable == ["saas: no answer"])
        #expect(judge(["vps1": status([activity(ended: .stuck)])], silent: ["saas: no answer"]).verdict == .actNow)
        #expect(
            judge(["vps1": status([activity(.decide, waiting: true)])], silent: ["saas: no answer"]).verdict == .actNow)
    }

    @Test func linesTellEverythingAndEscapeStrangers() {
        var screen = judge(["vps1": status([activity()], t0: .pending)], silent: ["x: \u{1B}[2J"], state: .conducted)
        screen.running = ["evil\u{7}"]
        let text = screen.lines.joined(separator: "\n")
        for part in [
            "serves", "takes writes", "comes next      compare", "lease           20 min left", "going back",
            "closing the laptop", "no answer",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(!text.contains("\u{7}") && !text.contains("\u{1B}[2J"))
    }
}
