import BasculeModel
import Testing

@testable import BasculeAgentCore

@Suite struct ConvergenceTests {
    private let a = Digest(rawValue: String(repeating: "a", count: 64))
    private let b = Digest(rawValue: String(repeating: "b", count: 64))
    private let desired = DesiredResource(.package(PackageSpec("nginx")), on: "n", origin: "test")

    private func decide(_ observed: Observed, now: Digest, planned: Digest?, interrupted: Bool = false) throws
        -> Convergence
    {
        try Convergence.decide(
            [ConvergeItem(desired: desired, before: planned, change: nil)],
            [Observation(id: desired.id, observed: observed, digest: now)], interrupted: interrupted)
    }

    private let missing = Observed.package(PackageObserved(version: nil, status: "not-installed"))
    private let present = Observed.package(PackageObserved(version: "1.22", status: "installed"))

    @Test func asPlannedIsChanged() throws {
        #expect(try decide(missing, now: a, planned: a).changes.map(\.0.id) == [desired.id])
    }

    @Test func anythingElseIsChangedUnderneath() {
        #expect(code { try decide(missing, now: b, planned: a) } == .changedUnderneath)
    }

    @Test func aConditionalStepTakesWhatItFinds() throws {
        #expect(try decide(missing, now: b, planned: nil).changes.count == 1)
    }

    @Test func anInterruptedStepMayFindItsOwnHalfDoneWork() throws {
        #expect(try decide(missing, now: b, planned: a, interrupted: true).changes.count == 1)
    }

    @Test func alreadyAsDesiredIsSatisfiedWhateverWasPlanned() throws {
        let decided = try decide(present, now: b, planned: a)
        #expect(decided.changes.isEmpty)
        #expect(decided.nothingToDo.status == .satisfied)
        #expect(decided.nothingToDo.summary == "installed 1.22")
    }

    @Test func whatCannotBeObservedFails() {
        #expect(code { try decide(.unobservable(reason: "dpkg is locked"), now: a, planned: a) } == .didNotConverge)
    }

    @Test func whatCanNeverBeReachedIsTold() throws {
        // An observation of another kind stands for any unreachable verdict.
        let decided = try decide(.command(CommandObserved(done: false)), now: a, planned: a)
        #expect(decided.nothingToDo.status == .unreachable)
    }

    @Test func oneOfManyThatChangedUnderneathRefusesAll() {
        let items = [
            ConvergeItem(desired: desired, before: a, change: nil),
            ConvergeItem(desired: desired, before: a, change: nil),
        ]
        let seen = [
            Observation(id: desired.id, observed: missing, digest: a),
            Observation(id: desired.id, observed: missing, digest: b),
        ]
        #expect(code { try Convergence.decide(items, seen, interrupted: false) } == .changedUnderneath)
    }
}

@Suite struct JudgeTests {
    private func judge(_ task: DataTask, _ report: DataReport) -> StepResult {
        DataJudge.judge(task, report) {
            Evidence($0, value: $1, threshold: $2, passed: $3, time: 0, origin: "n", measure: $4, unit: $5)
        }
    }

    private let move = PostgresMove(source: "S", targetDatabase: "shop", targetPort: 5432, owner: "shop")

    private func verification(
        tables: [String] = [], sequences: [String] = [], shape: [String] = [], rows: [PostgresRowDifference] = []
    ) -> StepResult {
        judge(
            .postgres(.verify(move, source: nil)),
            .postgres(
                .verified(
                    PostgresVerification(
                        tables: 3, rows: 1_234_567, differingTables: tables, differences: rows,
                        differingSequences: sequences, shapeDifferences: shape, seconds: 1))))
    }

    @Test func equalDataPassesWithItsCount() {
        let result = verification()
        #expect(result.status == .done)
        #expect(result.evidence.map(\.passed) == [true])
        #expect(result.evidence.first?.value.contains("1,234,567 rows in 3 tables") == true)
        #expect(result.evidence.first?.measure == 1_234_567)
        #expect(result.output != nil)
    }

    @Test func anyDifferenceFails() {
        let row = PostgresRowDifference(table: "public.orders", kind: .missing, key: "id=7")
        for result in [
            verification(tables: ["public.orders"], rows: [row]), verification(sequences: ["public.s"]),
            verification(shape: ["an index"]),
        ] {
            #expect(result.status == .failed)
            #expect(result.error?.code == .dataDiffers)
            #expect(result.evidence.map(\.passed) == [false])
        }
        #expect(verification(tables: ["public.orders"], rows: [row]).summary.contains("missing id=7"))
    }

    private func attempt(_ outcome: PostgresFenceAttempt.Outcome) -> PostgresFenceAttempt {
        PostgresFenceAttempt(
            role: "anon", pooled: false, kind: .insert, object: "public.orders", outcome: outcome, answer: "")
    }

    private func proof(_ attempts: [PostgresFenceAttempt], holes: [String] = []) -> StepResult {
        let fence = PostgresFence(id: "f", database: "d", objects: [], roles: [], memberships: [], readOnlyDefault: nil)
        return judge(
            .postgres(.fenceProve(move, fence)),
            .postgres(.proved(PostgresFenceProof(attempts: attempts, combinations: 4, holes: holes, findings: []))))
    }

    @Test func aFenceHoldsOnlyWithoutHoles() {
        #expect(proof([attempt(.refused)]).status == .done)
        for open in [
            proof([attempt(.refused)], holes: ["anon may insert"]), proof([attempt(.refused), attempt(.notRefused)]),
        ] {
            #expect(open.status == .failed)
            #expect(open.error?.code == .fenceHole)
            #expect(open.evidence.first?.passed == false)
        }
    }

    @Test func findingsRefuseOnlyWhereTheyRefuse() {
        let files = FilesMove(from: "deploy@h:/x", hostKey: "ssh-ed25519 A", identity: "/k", to: "/srv/x")
        func look(_ weight: FilesFinding.Weight?) -> StepResult {
            var report = FilesReport()
            if let weight, let code = FilesFinding.Code.allCases.first {
                report.findings = [FilesFinding(code, weight, "said")]
            }
            return judge(.files(.preflight(files), key: nil), .files(report))
        }
        #expect(look(nil).status == .done)
        #expect(look(.warn).status == .done)
        #expect(look(.refuse).status == .failed)
        #expect(look(.refuse).error?.code == .preflightRefused)
    }

    @Test func anEmptyRedisProofProvesNothing() {
        let redis = RedisMove(source: "S", target: RedisTarget(.host("127.0.0.1", port: 6380), password: "P"))
        #expect(judge(.redis(.fenceProve(redis, .pause)), .redis(RedisReport())).error?.code == .fenceHole)
    }
}
