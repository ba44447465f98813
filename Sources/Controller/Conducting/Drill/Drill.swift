import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculePlanning
import BasculeStore
import Foundation

/// Restores a node onto a throwaway one from what survives it, and says what that was worth.
package struct Drill: Sendable {
    let parsed: ParsedFleet
    let file: String
    let session: FleetSession
    let contact: FirstContact
    let observer: RunObserver
    /// Seconds for which the evidence counts.
    let lifetime: Double
    /// Throwaway nodes stay up, for who wants to look.
    let keeps: Bool

    package init(
        parsed: ParsedFleet, file: String, session: FleetSession, contact: FirstContact, lifetime: Double,
        keeps: Bool, observer: @escaping RunObserver
    ) {
        (self.parsed, self.file, self.session, self.contact) = (parsed, file, session, contact)
        (self.lifetime, self.keeps, self.observer) = (lifetime, keeps, observer)
    }

    /// Where everything is restored to before anything takes its place.
    private static let folder = "/var/lib/bascule-drill"

    /// What `backup-drill state` says.
    private struct DatabaseState: Decodable {
        struct Database: Decodable {
            var rows, tables: Int
            var bytes: Int64
            var seconds: Double
        }
        var databases: [String: Database]
        var amcheck: String?
        var checksums: String?
        var canary: Restored?
        var controls: [BackupControl]?
    }

    /// Subject, value, threshold, whether it passed, and as a number.
    typealias Say = (String, String, String?, Bool, Double?, String?) -> Void

    /// Runs the drill. A damage that is found is evidence that did not pass; only what kept the drill from being run is
    /// thrown. The record is in the store when this returns.
    package func run() async throws -> DrillRecord {
        let desk = BorgDesk(session: session)
        guard let place = try await desk.places().first(where: { $0.remote != nil }), let remote = place.remote else {
            throw BasculeError(
                .notFound, "no backup of files survives its node: there is nothing to drill with",
                at: session.positions["services.backup"],
                hint: "declare services.backup.borg with a target on another node or in an S3")
        }
        let release = try session.store.facts(place.node).flatMap { DebianRelease(rawValue: $0.codename) } ?? .bookworm
        let derived = DrillFleet.derived(parsed, of: place.node, release: release)
        let store = NSTemporaryDirectory() + "bascule-drill-\(RandomBytes.identifier())"
        try FileManager.default.createDirectory(
            atPath: store, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: store) }
        let drill = try FleetSession(derived, file: file, storePath: "\(store)/drill.db")
        if let lab = drill.lab { try await lab.down() }
        do {
            let record = try await run(drill, place, remote)
            await end(drill)
            await endCanary(on: place.node)
            await leaveMetric(record, on: place.node)
            return record
        } catch {
            await end(drill)
            await endCanary(on: place.node)
            throw error
        }
    }

    private func end(_ drill: FleetSession) async {
        await drill.close()
        if !keeps, let lab = drill.lab { try? await lab.down() }
    }

    private func run(_ drill: FleetSession, _ place: BorgDesk.Place, _ remote: BorgRepository) async throws
        -> DrillRecord
    {
        let copy = try await databaseCopy(of: place.node)
        let written = copy == nil ? nil : await writeCanary(on: place.node)
        let lost = Date()
        var held: [String: Arrived.Cluster] = [:]
        if let copy { held = try await arrived(copy, of: place.node) }
        observer(.note("host lost: \(place.node) is to come back from \(place.target)"))
        _ = try await session.signingKey()
        try DrillFleet.hand(session.store, to: drill.store)
        try await apply(drill, through: .install)
        var evidence: [Evidence] = []
        func say(
            _ subject: String, _ value: String, _ threshold: String?, _ passed: Bool, _ measure: Double? = nil,
            _ unit: String? = nil
        ) {
            evidence.append(
                Evidence(
                    subject, value: value, threshold: threshold, passed: passed, time: Date().timeIntervalSince1970,
                    expires: lost.timeIntervalSince1970 + lifetime, origin: "drill", measure: measure, unit: unit))
        }
        let borg = BorgDesk(session: drill)
        try await tools(drill)
        let restored = try await task(
            .restore(remote, restore([], to: "\(Self.folder)/files")), "restore every file of \(place.node)", drill,
            borg)
        say(
            "files restored", "\(restored.files) files, \(restored.bytes.bytesText) of \(restored.archive ?? "")",
            "some", restored.files > 0, Double(restored.bytes), "bytes")
        let newest = restored.archives.last { $0.name == restored.archive }
        let age = newest.map { max(0, lost.timeIntervalSince1970 - $0.time) }
        say(
            "age of the files", age?.durationText ?? "unknown", "at most a day and two hours",
            (age ?? .infinity) <= 26 * 3600, age, "s")
        try await takePlaces(restored, remote, drill, borg)
        let databases: (bytes: Double, seconds: Double)
        var rpo = age
        if let copy {
            databases = try await self.restore(copy, of: place.node, held, system: written?.system, drill, say)
            let names = drill.fleet.services.postgresql?.databases.keys.sorted() ?? []
            try await command("count", names.map(\.rawValue), "counted", "count what was restored", drill)
            let state = try await readAll(names, drill, say)
            rpo = self.say(rpo: written, state.canary, say)
        } else {
            databases = try await self.databases(restored, remote, place, drill, borg, say)
        }
        try await apply(drill, through: nil)
        for (name, result) in try await walk(drill) {
            say("journey \(name)", result.summary, "every step", result.isGood)
        }
        let rto = Date().timeIntervalSince(lost)
        say("RTO", rto.durationText, "under 60 min", rto < 3600, rto, "s")
        // Nobody waits for this: customers are served already.
        let controls = try await task(
            .controls(remote, scratch: "/var/lib/bascule-drill-damaged"), "see that damaged backups are noticed", drill,
            borg)
        for control in controls.controls {
            say("\(control.damage) noticed", control.wasNoticed ? control.said : "no", "it fails", control.wasNoticed)
        }
        if copy != nil {
            try await command("controls", [], "controlled", "see that damaged copies of PostgreSQL are noticed", drill)
            let state = try await BackupDesk(session: drill).ask(
                "drill", on: DrillFleet.node, ["state"], as: DatabaseState.self)
            for control in state.controls ?? [] {
                say(
                    "PostgreSQL: \(control.damage) noticed", control.wasNoticed ? control.said : "no", "it fails",
                    control.wasNoticed, nil, nil)
            }
            if state.controls?.isEmpty ?? true {
                say("PostgreSQL: damages noticed", "not tried", "each", false, nil, nil)
            }
        }
        let moved = Double(restored.bytes) + databases.bytes
        let (projected, projection) = Self.project(rto, moved: moved, seconds: restored.seconds + databases.seconds)
        say(
            "RTO at 40 GB", "\(projected.durationText): \(projection)", "under 60 min", projected < 3600, projected, "s"
        )
        let record = DrillRecord(
            fleet: session.fleet.name, made: lost.timeIntervalSince1970,
            expires: lost.timeIntervalSince1970 + lifetime, evidence: evidence, rpo: rpo, rto: rto,
            projected: projected, projection: projection)
        let signed = try SignedDrill(record, keys: try await session.signingKey())
        try session.store.set(
            SignedDrill.setting, to: String(decoding: try JSONEncoder().encode(signed), as: UTF8.self))
        return record
    }

    /// 40 GB at the rate that was measured; below 256 MB that says nothing, and the rate of a plain disk is taken.
    static func project(_ rto: Double, moved: Double, seconds: Double) -> (seconds: Double, text: String) {
        let isMeasured = moved >= 256e6 && seconds > 0
        let rate = isMeasured ? moved / seconds : 30e6
        let fixed = max(0, rto - seconds)
        let text =
            "\(fixed.durationText) for the node and its services + 40 GB at \(Int64(rate).bytesText)/s\(isMeasured ? ", measured" : ", assumed: only \(Int64(moved).bytesText) were restored")"
        return (fixed + 40e9 / rate, text)
    }

    private func restore(_ paths: [String], to folder: String, overwrites: Bool = false) -> BorgRestore {
        BorgRestore(archive: nil, paths: paths, into: folder, overwrites: overwrites, isEstimate: false)
    }

    /// Plans the drill's fleet and carries it out: first the node itself, then, known, what it needs.
    private func apply(_ drill: FleetSession, through: Phase?) async throws {
        for phase in [Phase.provision, through] {
            let planned = try await PlanMaker(session: drill).make()
            guard !planned.plan.steps.isEmpty else { return }
            try drill.store.save(planned.plan)
            let report = try await Runner(session: drill, contact: contact, through: phase, observer: observer).run(
                planned)
            guard report.outcome == .converged || report.outcome == .stopped else {
                throw BasculeError(.drillFailed, "the throwaway node did not come up: \(report.reason ?? "failed")")
            }
        }
    }

    private func task(_ task: BorgTask, _ title: String, _ drill: FleetSession, _ desk: BorgDesk) async throws
        -> BorgReport
    {
        let planned = try desk.plan(task, on: DrillFleet.node, title: title, estimate: 30)
        let report = try await Runner(session: drill, contact: contact, observer: observer).run(planned)
        guard let found = BorgDesk.report(report) else {
            throw BasculeError(
                .drillFailed, "\(title): \(report.reason ?? "failed")", hint: "the backups cannot be restored")
        }
        return found
    }

    /// Programs that the work needs besides what the fleet file declares.
    private func tools(_ drill: FleetSession) async throws {
        let node = DrillFleet.node
        let program = FileSpec(
            Catalogue.backupProgram("drill"),
            try Catalogue.drillProgram(drill.fleet, digest: { Digest(of: $0) }), permissions: Permissions(mode: 0o755))
        let resources: [Resource] =
            ["borgbackup", "rclone", "openssh-client", "python3"].map { .package(PackageSpec($0)) } + [.file(program)]
        try await converge(
            resources.map { DesiredResource($0, on: node, origin: "drill") }, "get ready to restore", drill)
    }

    func converge(_ desired: [DesiredResource], _ title: String, _ drill: FleetSession) async throws {
        let seen = try await drill.observe(desired, on: DrillFleet.node, purposes: [:])
        let steps = try ResourcePlanner(
            node: DrillFleet.node, desired: desired, observations: seen, confirmWithin: 60
        ).plan().steps
        guard !steps.isEmpty else { return }
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: drill.fleet.name,
            topology: drill.fleet.activeTopology.rawValue, revision: drill.revision,
            created: Date().timeIntervalSince1970, steps: steps)
        try drill.store.save(plan)
        let report = try await Runner(session: drill, contact: contact, observer: observer).run(
            Planned(plan: plan, compiled: Compiled(), blobs: [:], lease: nil, unreachable: [:], late: drill.usedNodes))
        guard report.outcome == .converged else {
            throw BasculeError(.drillFailed, "\(title): \(report.reason ?? "failed")")
        }
    }

    /// Uploads go to where the apps look for them.
    private func takePlaces(
        _ restored: BorgReport, _ remote: BorgRepository, _ drill: FleetSession, _ desk: BorgDesk
    ) async throws {
        var paths = session.fleet.services.backup?.borg?.paths ?? []
        for case .files(let source) in session.fleet.migration?.sources.values.map({ $0 }) ?? [] {
            paths.append(source.to)
        }
        guard !paths.isEmpty, !drill.fleet.apps.isEmpty else { return }
        var wanted = restore(Array(Set(paths)).sorted(), to: "/", overwrites: true)
        wanted.archive = restored.archive
        _ = try await task(.restore(remote, wanted), "put the apps' files into their places", drill, desk)
    }

    /// Fills every declared database from its newest dump, and reads it whole.
    private func databases(
        _ restored: BorgReport, _ remote: BorgRepository, _ place: BorgDesk.Place, _ drill: FleetSession,
        _ desk: BorgDesk, _ say: Say
    ) async throws -> (bytes: Double, seconds: Double) {
        let declared = drill.fleet.services.postgresql?.databases.keys.sorted() ?? []
        let program = Catalogue.backupProgram("drill")
        var found: [DatabaseName] = []
        for name in declared {
            guard let dump = restored.archives.last(where: { $0.name.hasPrefix("\(place.node)-dump-\(name)-") }) else {
                say("database \(name)", "no dump of it is among the archives", "restored", false, nil, nil)
                continue
            }
            var wanted = restore([], to: "\(Self.folder)/\(name)")
            wanted.archive = dump.name
            _ = try await task(.restore(remote, wanted), "bring the dump of \(name)", drill, desk)
            try await converge(
                [
                    DesiredResource(
                        .command(
                            CommandSpec(
                                "drill-restore-\(name)",
                                command: [program, "restore", name.rawValue, "\(Self.folder)/\(name)/\(name).dump"],
                                unless: [program, "restored", name.rawValue], timeout: 7 * 3600)),
                        on: DrillFleet.node, origin: "drill")
                ], "restore the database \(name)", drill)
            found.append(name)
        }
        guard !found.isEmpty else { return (0, 0) }
        let state = try await readAll(found, drill, say)
        return (
            state.databases.values.reduce(0) { $0 + Double($1.bytes) },
            state.databases.values.reduce(0) { $0 + $1.seconds }
        )
    }

    /// One command of the drill's own program, once.
    private func command(
        _ word: String, _ words: [String], _ unless: String, _ title: String, _ drill: FleetSession
    ) async throws {
        let program = Catalogue.backupProgram("drill")
        try await converge(
            [
                DesiredResource(
                    .command(
                        CommandSpec(
                            "drill-\(word)", command: [program, word] + words, unless: [program, unless],
                            timeout: 7 * 3600)),
                    on: DrillFleet.node, origin: "drill")
            ], title, drill)
    }

    /// Every page and every index of what was restored.
    private func readAll(_ found: [DatabaseName], _ drill: FleetSession, _ say: Say) async throws -> DatabaseState {
        try await command("check", [], "checked", "read every page", drill)
        let state = try await BackupDesk(session: drill).ask(
            "drill", on: DrillFleet.node, ["state"], as: DatabaseState.self)
        for name in found {
            guard let one = state.databases[name.rawValue] else { continue }
            say(
                "database \(name)", "\(one.rows) rows in \(one.tables) tables", "restored", one.tables > 0,
                Double(one.rows), "rows")
        }
        say(
            "tables and indexes read (pg_amcheck)", state.amcheck ?? "not read", "no damage", state.amcheck != nil, nil,
            nil)
        say("page checksums", state.checksums ?? "not read", "no bad page", state.checksums != nil, nil, nil)
        return state
    }

    /// The customer's path on the restored app.
    private func walk(_ drill: FleetSession) async throws -> [(String, StepResult)] {
        let (compiled, _) = try await PlanMaker(session: drill).compile()
        var steps: [Step] = []
        for site in compiled.sites {
            guard let path = drill.fleet.apps[site.app]?.journeys, let domain = site.domains.first else { continue }
            let journey: Journey
            do { journey = try JourneyFile.parse(path: "\(drill.fleet.folder)/\(path)") } catch {
                throw BasculeError(.invalidInput, error.render())
            }
            steps.append(
                Step(
                    id: StepID("drill/journey/\(site.app)"), phase: .install, node: DrillFleet.node,
                    title: "walk the journey \(journey.name) on the restored app",
                    action: .migrate(
                        .journey(JourneyGate(journey: journey, baseURL: site.innerURL, host: domain, timeout: 60))),
                    reversal: .reversible(seconds: 0), estimate: 2))
        }
        guard !steps.isEmpty else { return [] }
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: drill.fleet.name,
            topology: drill.fleet.activeTopology.rawValue, revision: drill.revision,
            created: Date().timeIntervalSince1970, steps: steps)
        try drill.store.save(plan)
        let report = try await Runner(session: drill, contact: contact, observer: observer).run(
            Planned(plan: plan, compiled: Compiled(), blobs: [:], lease: nil, unreachable: [:], late: drill.usedNodes))
        return steps.compactMap { step in report.results[step.id].map { (step.title, $0) } }
    }
}

extension ErrorCode {
    /// The drill could not be run to its end.
    package static let drillFailed: ErrorCode = "drill-failed"
}
