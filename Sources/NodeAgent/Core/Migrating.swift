import BasculeModel
import BasculeNet
import BasculeResources
import Glibc

extension SegmentPerformer {
    /// One action of the migration.
    func migrate(_ task: MigrationTask, _ step: Step) async throws -> StepResult {
        let services = services
        switch task {
        case .prepareEdge(let spec):
            let todo = try await Blocking.run { try services.edge.install(spec) }
            let ready = "ready to show maintenance and to pass on to \(spec.newAddress)"
            return StepResult(.done, todo.map { "\(ready); \($0)" } ?? ready)
        case .removeEdge:
            try await Blocking.run { try services.edge.remove() }
            return StepResult(.done, "removed")
        case .edge(let link, let mode):
            return try await tellEdge(link, mode)
        case .site(let domains, let open):
            try await Blocking.run { try SiteGate.set(domains, open: open) }
            return StepResult(.done, open ? "customers are let in" : "customers see the maintenance page")
        case .fence(let task), .prove(let task):
            return try await fenceOrProve(task, step)
        case .journey(let gate):
            return try await walk(gate, step)
        case .decide(let spec):
            return try await decide(spec, step)
        case .checkDNS(let change):
            return try await checkDNS(change)
        case .switchDNS(let change):
            return try await switchDNS(change)
        case .lowerTTL(let change):
            return try await lowerTTL(change)
        case .forgetSecrets(let names):
            try services.secrets.forget(Set(names))
            return StepResult(.done, "\(names.count) credentials purged")
        case .open(let domains):
            return try await open(domains)
        case .watch(let criteria):
            return try await watch(criteria, step)
        case .testAlert(let channels, let fresh):
            return await testAlert(channels, fresh)
        case .drilled:
            throw BasculeError(.protocolViolation, "\(step.title) is the controller's to do, not an agent's")
        }
    }

    /// Data tasks that need what an earlier step of this segment learnt: a fence takes what its capture noted, and a
    /// comparison reuses the digests of a source that has been fenced since.
    private func fenceOrProve(_ task: DataTask, _ step: Step) async throws -> StepResult {
        let absent = StepResult(.satisfied, "the fence was never taken")
        switch task {
        case .postgres(.fenceAcquire(let move, _)), .postgres(.fenceProve(let move, _)),
            .postgres(.fenceRelease(let move, _)):
            guard case .data(.postgres(.captured(let fence)))? = earlier(step, "-capture") ?? saved(step) else {
                return absent
            }
            let filled: PostgresTask =
                switch task {
                case .postgres(.fenceAcquire): .fenceAcquire(move, fence)
                case .postgres(.fenceProve): .fenceProve(move, fence)
                default: .fenceRelease(move, fence)
                }
            return try await self.move(.postgres(filled), step)
        case .postgres(.verify(let move, source: nil)):
            guard case .data(.postgres(.synced(let sync)))? = output(StepID("migration/sync/\(source(of: step))"))
            else {
                return try await self.move(task, step)
            }
            if sync.followed != nil { return try await self.move(.postgres(.follow(.changed, move)), step) }
            return try await self.move(.postgres(.verify(move, source: sync.source)), step)
        case .redis(.verify):
            // The sync has compared every key of both sides since the fence, and what it wrote once more.
            guard case .data(.redis(let sync))? = output(StepID("migration/sync/\(source(of: step))")), sync.isEqual
            else { return try await self.move(task, step) }
            return judge(task, .redis(sync))
        case .redis(.fenceAcquire(let move, _, let seconds)):
            guard let fence = redisFence(step) else { return absent }
            return try await self.move(.redis(.fenceAcquire(move, fence, seconds: seconds)), step)
        case .redis(.fenceProve(let move, _)):
            guard let fence = redisFence(step) else { return absent }
            return try await self.move(.redis(.fenceProve(move, fence)), step)
        case .redis(.fenceRelease(let move, _)):
            guard let fence = redisFence(step) else { return absent }
            return try await self.move(.redis(.fenceRelease(move, fence)), step)
        case .mysql(let mysql) where [.fenceAcquire, .fenceProve, .fenceRelease].contains(mysql.verb):
            guard case .data(.mysql(let report))? = earlier(step, "-capture") ?? saved(step), let fence = report.fence
            else {
                return absent
            }
            if mysql.verb == .fenceRelease, step.phase == .open {
                // A way back after T0.
                try DurableFile.save(true, to: captured("\(mysql.move.name)-opened"))
            }
            return try await self.move(.mysql(MySQLTask(mysql.verb, mysql.move, fence: fence)), step)
        default:
            let result = try await self.move(task, step)
            try save(result, step)
            return result
        }
    }

    private func output(_ id: StepID) -> StepOutput? { outputs.withLock { $0[id] } }

    /// The source that a step is about: the last part of its id, without what the step does with it.
    private func source(of step: Step) -> String {
        let name = step.id.rawValue.split(separator: "/").last.map(String.init) ?? ""
        for end in ["-capture", "-fence", "-proof", "-release"] where name.hasSuffix(end) {
            return String(name.dropLast(end.count))
        }
        return name
    }

    /// What the freeze's step of the same source, and this end, has learnt.
    private func earlier(_ step: Step, _ end: String) -> StepOutput? {
        output(StepID("migration/freeze/\(source(of: step))\(end)"))
    }

    private func captured(_ source: String) -> String {
        "\(services.paths.state)/follow/\(source.utf8.map { String($0, radix: 16) }.joined()).capture"
    }

    /// A way back after T0 is a segment of its own: it gives back what the conducted one took.
    private func saved(_ step: Step) -> StepOutput? {
        guard step.phase == .open else { return nil }
        return try? DurableFile.load(StepOutput.self, from: captured(source(of: step)))
    }

    /// What was taken from a source is known for as long as it may have to be given back.
    private func save(_ result: StepResult, _ step: Step) throws {
        guard step.id.rawValue.hasSuffix("-capture"), let output = result.output else { return }
        try DurableFile.save(output, to: captured(source(of: step)))
    }

    /// After a way back the target is still fenced: a new attempt begins with its rights given back.
    func unfenceTarget(_ move: PostgresMove, _ step: Step) async throws {
        let name = step.id.rawValue.split(separator: "/").last.map { String($0.dropLast("-copy".count)) } ?? ""
        let path = captured("\(name)-new")
        guard case .data(.postgres(.captured(let fence)))? = try DurableFile.load(StepOutput.self, from: path) else {
            return
        }
        var new = move
        new.fencesTarget = true
        _ = try await run(.postgres(.fenceRelease(new, fence)), step)
        unlink(path)
    }

    /// The same task, told where an earlier attempt went back after T0.
    func goneBack(_ task: MySQLTask) -> MySQLTask {
        var told = task
        if access(captured("\(task.move.name)-opened"), F_OK) == 0 { told.afterOpen = true }
        return told
    }

    /// Once a copy was admitted nothing of then is left.
    func forgetGoneBack(_ task: MySQLTask) {
        if [.copy, .sync, .finish].contains(task.verb) { unlink(captured("\(task.move.name)-opened")) }
    }

    private func redisFence(_ step: Step) -> RedisFence? {
        guard case .data(.redis(let report))? = earlier(step, "-capture") ?? saved(step) else { return nil }
        return report.fence
    }

    /// Waits for the answer. Unanswered means the declared policy.
    private func decide(_ spec: DecisionSpec, _ step: Step) async throws -> StepResult {
        control.set(waitingForDecision: true)
        defer { control.set(waitingForDecision: false) }
        let patience = WallClock.monotonic() + min(spec.patience, max(0, (lease.left ?? spec.patience) - 1))
        var shown = 0.0
        while control.decision == nil, !spec.automatic, WallClock.monotonic() < patience {
            let now = WallClock.monotonic()
            if now - shown >= 5 {
                shown = now
                progress(step, "waiting for bascule go or bascule no-go, \(Int(patience - now)) s left")
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        let answer: Decision
        let who: String
        if let said = control.decision {
            (answer, who) = (said, "the administrator")
        } else if spec.automatic {
            (answer, who) = (.go, "approve: auto, every gate passed")
        } else if spec.ifAlone == .hold {
            while control.decision == nil, (lease.left ?? 0) > -3600 { try? await Task.sleep(for: .milliseconds(200)) }
            (answer, who) = (
                control.decision ?? .noGo, control.decision == nil ? "nobody for an hour" : "the administrator"
            )
        } else {
            (answer, who) = (.noGo, "nobody answered; ifAlone: rollback")
        }
        let proof = evidence("go or no-go", "\(answer.rawValue) (\(who))", passed: answer == .go)
        guard answer == .go else {
            let error = BasculeError(
                .noGo, "the decision was no-go: \(who)",
                hint: "the old system serves again; bascule apply starts another attempt")
            return StepResult(.failed, proof.value, error: error, evidence: [proof], output: .decision(answer))
        }
        return StepResult(.done, proof.value, evidence: [proof], output: .decision(answer))
    }

    /// T0: decided once, here; then the door opens.
    private func open(_ domains: [String]) async throws -> StepResult {
        let attempt = segment.lease?.attempt ?? 0
        let state = try services.identity.decide(attempt: attempt, as: .open)
        guard state == .open else {
            throw BasculeError(
                .alreadyDecided, "attempt \(attempt) of the migration was already rolled back",
                hint: "bascule apply starts another attempt")
        }
        lease.end()
        // From here on there is only forward: a full disk or the like must not leave customers before a closed door.
        for attempt in 0... {
            do {
                try await Blocking.run { try SiteGate.set(domains, open: true) }
                break
            } catch {
                services.log("the site could not be opened: \(error)")
                if attempt == 30 { throw error }
                try await Task.sleep(for: .seconds(1))
            }
        }
        return StepResult(.done, "T0: the new system takes writes")
    }

    private func walk(_ gate: JourneyGate, _ step: Step) async throws -> StepResult {
        let result = try await JourneyProbe.run(gate, services: services)
        let proof = evidence(
            "journey \(gate.journey.name)", result.line, threshold: "every step", passed: result.ok,
            measure: result.milliseconds, unit: "ms")
        guard result.ok else {
            let error = BasculeError(
                .journeyFailed, "the journey \(gate.journey.name) failed: \(result.line)",
                hint: "look at the app's own journal on the node: journalctl -u 'bascule-*'")
            return StepResult(.failed, result.line, error: error, evidence: [proof], output: .journey(result))
        }
        return StepResult(.done, result.line, evidence: [proof], output: .journey(result))
    }
}

extension ErrorCode {
    /// The answer to go or no-go was no-go.
    package static let noGo: ErrorCode = "no-go"
    /// T0 of this attempt was decided otherwise before.
    package static let alreadyDecided: ErrorCode = "already-decided"
    /// A customer's path through the app did not work.
    package static let journeyFailed: ErrorCode = "journey-failed"
}
