import BasculeCatalogue
import BasculeFleet
import BasculeModel

/// What the migration's steps need to know beyond the fleet file.
package struct MigrationContext: Sendable {
    package var fleet: Fleet
    package var compiled: Compiled
    /// Addresses by node, as far as they are known.
    package var addresses: [NodeName: String]
    /// Pinned host keys by node, as `type base64`.
    package var hostKeys: [NodeName: String]
    package var ports: [NodeName: Int]
    /// Journeys by app, read from the fleet's files.
    package var journeys: [AppName: Journey]
    package var attempt: Int
    /// Present addresses of each record, as its authoritative servers answer; empty where nobody could be asked.
    package var records: [String: [String]]

    package init(
        fleet: Fleet, compiled: Compiled, addresses: [NodeName: String], hostKeys: [NodeName: String],
        ports: [NodeName: Int],
        journeys: [AppName: Journey], attempt: Int, records: [String: [String]]
    ) {
        (self.fleet, self.compiled, self.addresses, self.hostKeys) = (fleet, compiled, addresses, hostKeys)
        (self.ports, self.journeys, self.attempt, self.records) = (ports, journeys, attempt, records)
    }
}

extension ErrorCode {
    /// The fleet's migration cannot be planned as declared.
    package static let migrationRefused: ErrorCode = "migration-refused"
}

/// The migration as steps like any other. Pure.
package struct MigrationPlanner {
    let context: MigrationContext
    let migration: Migration
    /// The node whose agent conducts.
    package let conductor: NodeName
    var steps: [Step] = []

    /// nil where the fleet declares no migration.
    package init?(_ context: MigrationContext) throws {
        guard let migration = context.fleet.migration else { return nil }
        self.context = context
        self.migration = migration
        let topology = context.fleet.active
        guard
            let conductor = topology.nodes(with: .database).first ?? topology.nodes(with: .app).first
                ?? topology.nodes(with: .web).first
        else {
            throw BasculeError(
                .migrationRefused, "the migration has no node to go to",
                hint: "give a node the roles database, app and web")
        }
        self.conductor = conductor
    }

    /// Every step from *install* to *finish*.
    package func plan() throws -> (steps: [Step], outline: MigrationOutline) {
        var copy = self
        try copy.build()
        let conducted = copy.steps.filter { $0.phase.isConducted }
        let back = conducted.filter { $0.compensation != nil }.reduce(0.0) { sum, step in
            if case .reversible(let seconds) = step.reversal { sum + seconds } else { sum }
        }
        let budget = migration.rollback.budget.seconds
        guard back <= budget else {
            throw BasculeError(
                .migrationRefused,
                "a rollback would take about \(back.durationText), more than its budget of \(budget.durationText)",
                hint: "raise migration.rollback.budget, or move less at once")
        }
        let newWrites = newWrites
        return (
            copy.steps,
            MigrationOutline(
                conductor: conductor, rollbackBudget: budget, rollbackExpected: back,
                outageExpected: copy.expectedOutage(),
                newWrites: newWrites)
        )
    }

    mutating func add(
        _ phase: Phase, _ name: String, on node: NodeName? = nil, _ title: String, _ action: StepAction,
        requires: [StepID] = [],
        reversal: Reversal = .reversible(seconds: 0), estimate: Double, undo: StepAction? = nil
    ) -> StepID {
        let id = StepID("migration/\(phase.rawValue)/\(name)")
        steps.append(
            Step(
                id: id, phase: phase, node: node ?? conductor, title: title, action: action, requires: requires,
                reversal: reversal,
                cancellation: undo == nil ? .abortable : .compensating, estimate: estimate, compensation: undo))
        return id
    }

    private mutating func build() throws {
        let domains = context.compiled.sites.flatMap(\.domains)
        let postgres = try postgresMoves()
        let redis = try redisMoves()
        let archives = try archives()
        if context.fleet.services.backup != nil, migration.drill == .required { addDrillGate() }
        let files = try filesMoves()
        if !domains.isEmpty {
            _ = add(
                .install, "close", "close \(domains.joined(separator: ", ")) until T0",
                .migrate(.site(domains: domains, open: false)), estimate: 0.1)
        }
        let edge = try edgeLink()
        if case .node(let old)? = migration.edge {
            _ = add(
                .install, "edge", on: old.node, "prepare the old edge", .migrate(.prepareEdge(try edgeSpec(domains))),
                reversal: .reversible(seconds: 1), estimate: 0.2)
        }
        let dns = try dnsChanges()
        for change in dns {
            _ = add(
                .copy, "ttl-\(change.id)", "lower the TTL of \(change.name) \(change.type) to \(change.ttl) s",
                .migrate(.lowerTTL(change)), estimate: 0.2)
        }
        for (name, move) in postgres {
            let look = add(
                .copy, "\(name)-preflight", "look at the source \(name)", .data(.postgres(.preflight(move))),
                estimate: 1)
            _ = add(
                .copy, "\(name)-copy", "copy \(name) into \(move.targetDatabase) while it serves",
                .data(.postgres(.copy(move))), requires: [look],
                reversal: .reversible(seconds: 2), estimate: 15)
        }
        for (name, move) in redis {
            let look = add(
                .copy, "\(name)-preflight", "look at the source \(name)", .data(.redis(.preflight(move))), estimate: 0.5
            )
            _ = add(
                .copy, "\(name)-copy", "copy the keys of \(name)", .data(.redis(.copy(move))), requires: [look],
                reversal: .reversible(seconds: 1), estimate: 3)
        }
        for (name, move, key) in files {
            let look = add(
                .copy, "\(name)-preflight", "look at the source \(name)", .data(.files(.preflight(move), key: key)),
                estimate: 1)
            _ = add(
                .copy, "\(name)-copy", "copy the files of \(name)", .data(.files(.copy(move), key: key)),
                requires: [look], reversal: .reversible(seconds: 1), estimate: 3)
        }
        let mysql = try mysqlMoves()
        addMySQLCopies(mysql, after: postgres)
        addArchives(archives)
        let gates = try journeyGates()
        for (name, gate) in gates {
            _ = add(
                .rehearseSmoke, name, "walk the journey \(name) against the copy", .migrate(.journey(gate)), estimate: 2
            )
        }
        for change in dns {
            _ = add(
                .rehearseSmoke, "dns-\(change.id)", "see the lowered TTL at every name server of \(change.zone)",
                .migrate(.checkDNS(change)), estimate: 1)
        }
        let walked = steps.filter { $0.phase == .rehearseSmoke }
        for (name, move) in postgres where move.follow?.mode != .never {
            // After the rehearsal, which may leave rows behind; before the freeze, so that the outage need not read all.
            _ = add(
                .rehearseSmoke, "\(name)-prove", "prove the copy of \(name) while it is followed",
                .data(.postgres(.follow(.prove, move))), requires: walked.map(\.id), estimate: 3)
        }
        addTestAlert()
        try conducted(domains, edge, dns, postgres, redis, files, gates, archives)
        for (name, move) in postgres {
            _ = add(
                .finish, "\(name)-tables", "remove the mover's tables; the way back ends",
                .data(.postgres(.finish(move))), estimate: 0.3)
        }
        for (name, move) in redis {
            _ = add(.finish, "\(name)-keys", "remove the mover's keys", .data(.redis(.finish(move))), estimate: 0.2)
        }
        addMySQLFinish(mysql)
        _ = add(
            .finish, "credentials", "purge the sources' credentials from \(conductor)",
            .migrate(.forgetSecrets(try credentials())),
            // What is left at a source is removed with them.
            requires: steps.filter { $0.phase == .finish }.map(\.id), estimate: 0.1)
    }

    /// Nothing is frozen before the administrator is known to hear of what goes wrong.
    private mutating func addTestAlert() {
        guard let channels = context.fleet.services.monitoring?.channels, !channels.isEmpty,
            let node = context.fleet.active.nodes(with: .monitoring).first
        else { return }
        _ = add(
            .rehearseSmoke, "test-alert", on: node,
            "see a test alert reach the administrator by \(channels.joined(separator: " and "))",
            .migrate(.testAlert(channels: channels, fresh: migration.testAlert.seconds)), estimate: 2)
    }

    /// From freeze to watch: one segment. What need not wait for each other runs at once: customers wait for its end.
    private mutating func conducted(
        _ domains: [String], _ edge: EdgeLink?, _ dns: [DNSChange], _ postgres: [(String, PostgresMove)],
        _ redis: [(String, RedisMove)],
        _ files: [(name: String, move: FilesMove, key: SecretName?)], _ gates: [(String, JourneyGate)],
        _ archives: [ArchiveTask]
    ) throws {
        var frozen = try addFreeze(edge, postgres, redis)
        let mysql = try mysqlMoves()
        if migration.finalBackup == .before, let final = addFinal(archives, .freeze, after: frozen.proved) {
            frozen = FrozenSources(fenced: final, proved: final)
        }
        // What is synchronised is compared only when the fence has been proved: both sides stand still from then on.
        var synced: [StepID] = []
        for (name, move) in postgres {
            let sync = add(
                .sync, name, "copy again what changed in \(name)", .data(.postgres(.sync(move))),
                requires: frozen.fenced, estimate: 0.6)
            synced.append(
                add(
                    .validate, name, "read both sides of \(name) again and compare",
                    .migrate(.prove(.postgres(.verify(move, source: nil)))), requires: [sync] + frozen.proved,
                    estimate: 0.6))
        }
        for (name, move) in redis {
            let sync = add(
                .sync, name, "copy again what changed in \(name)", .data(.redis(.sync(move))),
                requires: frozen.fenced, estimate: 0.6)
            synced.append(
                add(
                    .validate, name, "read both sides of \(name) again and compare",
                    .migrate(.prove(.redis(.verify(move)))), requires: [sync] + frozen.proved, estimate: 0.6))
        }
        for (name, move, key) in files {
            let sync = add(
                .sync, name, "fetch what changed in \(name)", .data(.files(.sync(move, thorough: false), key: key)),
                requires: frozen.fenced, estimate: 0.6)
            synced.append(
                add(
                    .validate, name, "compare the manifests of \(name)",
                    .migrate(.prove(.files(.verify(move), key: key))), requires: [sync] + frozen.proved,
                    estimate: 0.4))
        }
        synced += addMySQLSync(mysql, after: postgres, frozen)
        var last = synced.isEmpty ? frozen.proved : synced
        for (name, gate) in gates {
            last = [
                add(
                    .smoke, name, "walk the journey \(name) on the new system", .migrate(.journey(gate)),
                    requires: last, estimate: 0.6)
            ]
        }
        let policy = IfAlone(rawValue: migration.rollback.ifAlone.rawValue) ?? .rollback
        last = [
            add(
                .decide, "go", "go or no-go",
                .migrate(
                    .decide(DecisionSpec(automatic: migration.approve == .auto, patience: window / 2, ifAlone: policy))),
                requires: last, estimate: migration.approve == .auto ? 0 : 60)
        ]
        // None of these lets a customer in: that is T0's alone.
        var switched: [StepID] = []
        for (name, move) in postgres where move.follow?.back != nil {
            switched.append(
                add(
                    .switch, "\(name)-back", "prepare to keep what \(name) is given after T0",
                    .data(.postgres(.follow(.backBegin, move))), requires: last,
                    reversal: .reversible(seconds: 0.3), estimate: 0.3,
                    undo: .data(.postgres(.follow(.backEnd, move)))))
        }
        for change in dns {
            switched.append(
                add(
                    .switch, "dns-\(change.id)", "point \(change.name) to \(change.to.joined(separator: ", "))",
                    .migrate(.switchDNS(change)), requires: last,
                    reversal: .reversible(seconds: 0.5), estimate: 0.1, undo: .migrate(.switchDNS(change.reversed))))
        }
        if let edge {
            switched.append(
                add(
                    .switch, "edge", "the old edge passes on to the new system", .migrate(.edge(edge, .new)),
                    requires: last,
                    reversal: .reversible(seconds: 0.6), estimate: 0.2, undo: .migrate(.edge(edge, .maintenance))))
        }
        if !switched.isEmpty { last = switched }
        last = [
            add(
                .open, "t0", "T0: open \(domains.joined(separator: ", "))", .migrate(.open(domains: domains)),
                requires: last, reversal: .reversibleUntil(event: "the first new write"), estimate: 0.1)
        ]
        for (name, move) in postgres where move.follow?.mode != .never || move.follow?.back != nil {
            _ = add(
                .watch, "\(name)-follow-end", "stop following the old \(name)",
                .data(.postgres(.follow(.end, move))), requires: last, estimate: 0.5)
        }
        // The fence stays: what the source holds now is what it held at T0, and nobody waits for the archive.
        if migration.finalBackup == .parallel { _ = addFinal(archives, .watch, after: last) }
        let when = migration.rollback.when
        _ = add(
            .watch, "criteria", "watch the declared criteria for \(migration.rollback.watch.seconds.durationText)",
            .migrate(
                .watch(
                    WatchCriteria(
                        duration: migration.rollback.watch.seconds,
                        usersUnableToLogIn: when.usersUnableToLogIn?.fraction,
                        serverErrors: when.serverErrors?.fraction, dataLoss: when.dataLoss != nil,
                        minimumUsers: migration.rollback.minimumUsers,
                        loginPath: context.compiled.sites.compactMap(\.loginPath).first,
                        accessLog: context.compiled.sites.first?.accessLog ?? "",
                        journey: gates.first?.1, database: postgres.first?.1 ?? mysql.first?.move.landing))),
            requires: last,
            estimate: migration.rollback.watch.seconds)
    }

    /// What becomes of what was written after T0 if it goes back then.
    private var newWrites: String {
        let elsewhere = migration.sources.values.contains { if case .postgres = $0 { false } else { true } }
        let rest = elsewhere ? "; rows of MySQL, keys and files written after T0 stay on the new side" : ""
        return switch migration.rollback.newWrites {
        case .reverse?: "are carried back by bascule rollback until finish (reverse replication)\(rest)"
        case .journal?:
            "are kept as SQL statements on the node; bascule rollback, open until finish, says in which file\(rest)"
        case .loss?: "would be lost by a rollback, as declared"
        case nil: "would be lost by a rollback: it asks; newWrites: reverse or journal keeps them"
        }
    }

    /// Seconds of the freeze's lease: the window.
    var window: Double { migration.window?.length.seconds ?? 1800 }

    /// The lease under which the conducted segment runs.
    package var lease: MigrationLease {
        MigrationLease(
            seconds: window, ifAlone: IfAlone(rawValue: migration.rollback.ifAlone.rawValue) ?? .rollback,
            attempt: context.attempt)
    }
}

extension Duration {
    /// As a number of seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

extension DNSChange {
    /// Tells the record sets of one name apart in a step's id.
    fileprivate var id: String { "\(name)-\(type.lowercased())" }
}

extension Threshold {
    /// The share from which on it trips.
    var fraction: Double {
        switch self {
        case .any: 0
        case .above(let share): share.fraction
        }
    }
}
