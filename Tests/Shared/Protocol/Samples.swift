import BasculeModel
import BasculeProtocol

/// One value of every case of the protocol. A `switch` without default in the tests keeps these lists whole.
enum Samples {
    static let digest = Digest(rawValue: String(repeating: "ab", count: 32))
    static let file = DesiredResource(
        .file(FileSpec("/etc/motd", "hello \"world\"\n")), on: "vps1", requires: ["vps1/package:nginx"],
        origin: "fleet.yaml:3:1")
    static let error = BasculeError(
        .timedOut, "too late", at: .file(path: "fleet.yaml", line: 3, column: 1), cause: "x", hint: "y")
    static let change = Change(.update, [Difference("mode", before: nil, after: "0644", diff: "+x")])
    static let steps = [
        Step(
            id: "vps1/file:/etc/motd", phase: .install, node: "vps1", title: "create file /etc/motd",
            action: .converge([ConvergeItem(desired: file, before: digest, change: change)]),
            certainty: .conditional(reason: "packages first"),
            reversal: .reversible(seconds: 1), estimate: 0.05),
        Step(
            id: "t0", phase: .open, node: nil, title: "T0", action: .migrate(.open(domains: ["shop.example"])),
            requires: ["vps1/file:/etc/motd"],
            certainty: .opaque, reversal: .reversibleUntil(event: "the first new write"), cancellation: .compensating,
            estimate: 0.1,
            compensation: .migrate(.site(domains: ["shop.example"], open: false))),
        Step(
            id: "p", phase: .provision, node: nil, title: "create", action: .provision("vps1"),
            reversal: .pointOfNoReturn(reason: "r"),
            cancellation: .abortable, estimate: 20, compensation: .bootstrap("vps1"), confirmWithin: 60),
    ]
    static let segment = Segment(
        id: "seg", plan: "plan", run: "run", node: "vps1", epoch: 3, serial: 4, steps: steps, onFailure: .compensate,
        lease: MigrationLease(seconds: 1800, ifAlone: .rollback, attempt: 2))
    static let result = StepResult(
        .done, "ok", error: error,
        evidence: [
            Evidence(
                "rows", value: "3", threshold: "3", passed: true, time: 1.5, expires: 9, origin: "vps1", measure: 3,
                unit: "rows")
        ],
        seconds: 0.25, changes: ["vps1/file:/etc/motd": change], output: .decision(.go))
    static let outcome = SegmentOutcome(
        .rolledBack, results: ["a": result], compensations: ["a": StepResult(.satisfied)])
    static let facts = NodeFacts(
        hostname: "h", machineID: "m", system: "debian", systemVersion: "12", codename: "bookworm",
        systemName: "Debian", kernel: "6.1",
        architecture: "x86_64", processors: 2, memory: 1 << 33, memoryAvailable: 5,
        disks: [.init(mount: "/", type: "ext4", size: 1 << 40, free: 7)],
        addresses: ["203.0.113.10/24"], defaultInterface: nil, services: nil, packageCount: 3,
        packages: ["nginx": "1.22"], bootID: "b", uptime: 1,
        clock: 1_700_000_000.25,
        postgresClusters: [
            .init(version: 15, name: "main", folder: "/var/lib/postgresql/15/main", holdsData: true)
        ])
    static let activity = AgentStatus.Activity(
        segment: "seg", plan: "plan", phase: .rehearseSmoke, running: ["x"], next: nil, stepsDone: 1, stepsTotal: 2,
        isCompensating: true,
        waitingForDecision: false, conducted: true, leaseLeft: 2.5, ended: .stuck)
    static let status = AgentStatus(
        machine: "m", version: "0.1.0", epoch: 1, uptime: 2, activities: [activity], migrationAttempt: 1,
        t0: .rolledBack, edge: .maintenance, lastSequence: 9,
        healing: HealingStatus(
            managed: 3, healed: 2, failed: 1,
            drift: [Drift(resource: "vps1/unit:x", since: 1, summary: "state", reason: .session, until: 601)],
            holds: [Hold(resource: nil, since: 1, until: nil, reason: "root on the console")], lastEvent: 4,
            suspended: "the migration is frozen", diskLow: true),
        services: [ServiceState("redis.cache", serves: false, detail: "Could not connect")])
    static let record = JournalRecord(sequence: 7, time: 1.5, segment: "seg", event: .finished("a", result))

    static let events: [ExecutionEvent] = [
        .accepted(segment), .started("a", attempt: 2), .finished("a", result), .rollingBack(reason: "because"),
        .compensating("a"),
        .compensated("a", result), .note("n"), .ended(outcome),
        .awaitingConfirmation("a", seconds: 60),
    ]

    static let requests: [Request] = [
        .hello(Hello(versions: [1, 2], product: "0.1.0", epoch: 3, holder: "alice@laptop pid 1", key: "00")), .facts,
        .observe([file]), .missingBlobs([digest]),
        .putBlob(digest, size: 12), .putSecrets([SealedSecret(name: "db/shop", sealed: "00ff")], tag: "t"),
        .submit(segment), .attach("seg", from: 8),
        .command("seg", .noGo), .status, .journal(from: 1, limit: 100), .snapshots, .restore("seg"),
        .edge(.maintenance, lease: 60),
        .edge(.old, lease: nil), .publicKey(purpose: "edge"), .upgrade(digest, trial: 60), .program,
        .keepProgram(digest),
        .keepBackup(digest, number: 1), .backups, .leave,
        .manifest([file]), .hold("vps1/file:/etc/motd", seconds: 7200, reason: "r"),
        .hold(nil, seconds: nil, reason: ""), .release("vps1/file:/etc/motd"), .release(nil),
        .outbox(from: 3, limit: 100),
        .confirm("seg", "a"), .admitToken(name: "ci-1", app: "shop", key: "ssh-ed25519 AAAA"),
        .revokeToken(name: "ci-1"),
        .rotate(.announce(RotationKeys(fleetKey: "ssh-ed25519 AAAA", controllerKey: "00"))),
        .rotate(.confirm(RotationKeys(fleetKey: "ssh-ed25519 AAAA", controllerKey: "00"))), .rotate(.prepareSealing),
        .rotate(.adoptSealing("00")), .errors(app: "shop", since: 1.5), .errors(app: nil, since: 0),
        .testAlert(channels: ["email"], seconds: 90),
        .measure([
            .postgres(PostgresServer(), database: "shop"),
            .redis(host: "127.0.0.1", port: 6379, user: nil, password: "generated.redis.cache"),
        ]),
        .comparePooling(
            PoolTrial(server: PostgresServer(), clients: [8, 100], seconds: 5, rounds: 3, scale: 10, writes: true)),
        .askBackup(kind: "postgresql", words: ["forecast", "--to-time", "2026-12-06T03:00:00Z"]),
    ]

    static let replies: [Reply] = [
        .welcome(
            Welcome(
                version: 1, product: "0.1.0", machine: "m", architecture: "x86_64", sealingKey: "00",
                capabilities: ["segments"], secretsTag: nil, epoch: 3,
                migrationAttempt: 0, t0: .open, nonce: "aa", serial: 7, proof: "bb")), .facts(facts),
        .observations([
            Observation(id: "vps1/file:/etc/motd", observed: .file(FileObserved(type: .nothing)), digest: digest),
            Observation(id: "vps1/unit:x", observed: .unobservable(reason: "no systemd"), digest: digest),
        ]), .digests([digest]), .accepted, .ended(outcome), .status(status), .journal([record]),
        .snapshots([SnapshotInfo(segment: "seg", plan: "plan", time: 1, resources: ["vps1/file:/etc/motd"])]),
        .restored(["vps1/file:/etc/motd": "as before"]), .publicKey("ssh-ed25519 AAAA bascule"), .refused(error),
        .backups([BackupInfo(number: 2, time: 5, digest: digest, size: 9)]),
        .outbox(
            AgentEvent.Kind.allCases.map {
                AgentEvent(
                    sequence: 1, time: 1.5, kind: $0, resource: "vps1/file:/etc/motd", text: "content", seconds: 0.1,
                    error: error)
            }),
        .errors([
            ErrorGroup(
                fingerprint: "0a1b2c3d4e5f", app: "shop", type: "TypeError", message: "no <n>", frames: ["f server.js"],
                count: 3, first: 1.5, last: 2, sample: "TypeError: no 1\n    at f (server.js:1:1)")
        ]),
        .measured([Reading(["hits": 3, "misses": 1]), Reading([:], reason: "no answer")]),
        .pooling([
            PoolFigure(clients: 8, connects: true, pooled: false, rates: [310.5], latencies: [25.1]),
            PoolFigure(clients: 100, connects: false, pooled: false, reason: "too many clients"),
        ]),
        .text("{}"),
    ]
}
