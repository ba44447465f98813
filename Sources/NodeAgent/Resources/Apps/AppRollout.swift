import BasculeModel
import BasculeNet

/// Puts a release in front of customers, one instance after the other, and takes it back where it does not hold.
struct AppRollout {
    let spec: AppSpec
    let context: NodeContext
    private let upstream: NginxUpstream

    init(_ spec: AppSpec, _ context: NodeContext) {
        (self.spec, self.context) = (spec, context)
        upstream = NginxUpstream(spec: spec, context: context)
    }

    /// Nothing serves yet: all instances start together, and the proxy learns of them when all are healthy.
    func first(release: String) throws {
        let before = AppKeeper.current(spec.root)
        try AtomicFile.link(AppKeeper.link(spec.root), to: "releases/\(release)")
        let units = spec.ports.map { AppKeeper.unit(spec, $0) }
        do {
            _ = try Systemctl.attempt(["reset-failed", "--"] + units)
            context.progress("starting \(units.count) instances of \(spec.app)")
            _ = try Systemctl.attempt(["enable", "--"] + units)
            let outcome = try Systemctl.attempt(["restart", "--"] + units)
            guard outcome.status == 0 else { throw Systemctl.failure(units.first ?? spec.unit, "start", outcome) }
            for port in spec.ports { try gate(port, release) }
            try upstream.passOver(nil)
        } catch {
            let cause = describe(error)
            _ = try? Systemctl.attempt(["disable", "--now", "--"] + units)
            if let before {
                try? AtomicFile.link(AppKeeper.link(spec.root), to: "releases/\(before)")
            } else {
                try? ParentDirectory.find(AppKeeper.link(spec.root))?.remove()
            }
            throw BasculeError(
                .unhealthy, "The first release of \(spec.app) did not become healthy; its instances are stopped",
                at: .thing(spec.app), cause: cause, hint: "correct the app, then apply again")
        }
    }

    /// Replaces the instances one by one. `healthy` ports already run the release and are left alone.
    func roll(from previous: String, to release: String, healthy: Set<Int>) throws {
        if previous != release {
            try remember { $0.previous = previous }
            // Not written anew where it stands: its time says which instances were started before it.
            if AppKeeper.current(spec.root) != release {
                try AtomicFile.link(AppKeeper.link(spec.root), to: "releases/\(release)")
            }
        }
        // A crash may have come between an instance's start and its note.
        for port in healthy { try note(port, release) }
        let units = spec.ports.map { AppKeeper.unit(spec, $0) }
        _ = try Systemctl.attempt(["enable", "--"] + units)
        var switched: [Int] = []
        do {
            for port in spec.ports where !healthy.contains(port) {
                if context.isCancelled() { throw BasculeError(.cancelled, "Cancelled between two instances") }
                switched.append(port)
                try replace(port, release)
            }
            try upstream.passOver(nil)
        } catch {
            let cause = describe(error)
            guard previous != release else {
                // There is no older state to return to: the healthy instances go on serving.
                try? upstream.passOver(switched.last)
                throw BasculeError(
                    .unhealthy, "An instance of \(spec.app) did not become healthy again", at: .thing(spec.app),
                    cause: cause, hint: "the other instances go on serving")
            }
            let known = AppState.load(spec.app, context)?.instances ?? [:]
            let others = spec.ports.filter { known["\($0)"]?.release == release && !switched.contains($0) }
            let restored = putBack(previous, others + switched)
            throw BasculeError(
                .unhealthy,
                restored == nil
                    ? "The new release of \(spec.app) did not become healthy; the previous one is back"
                    : "The new release of \(spec.app) did not become healthy, and neither did the previous one",
                at: .thing(spec.app), cause: [cause, restored].compactMap { $0 }.joined(separator: "\n"),
                hint: "correct the app, then apply again")
        }
    }

    /// One instance: passed over, its requests ended, restarted, healthy. The next call puts it back.
    private func replace(_ port: Int, _ release: String) throws {
        try upstream.passOver(port)
        if spec.ports.count > 1 {
            drain(port)
        } else {
            context.progress("\(spec.app) has one instance: it does not answer while it restarts")
        }
        let unit = AppKeeper.unit(spec, port)
        context.progress("restart \(unit)")
        _ = try Systemctl.attempt(["reset-failed", "--", unit])
        let outcome = try Systemctl.attempt(["restart", "--", unit])
        guard outcome.status == 0 else { throw Systemctl.failure(unit, "restart", outcome) }
        try gate(port, release)
    }

    /// Waits until nobody is connected to an instance any more, as long as the app allows.
    private func drain(_ port: Int) {
        guard spec.upstreamFile != nil else { return }
        let end = Deadline.seconds(Double(spec.drain))
        var silent = 0
        while silent < 3, !end.passed {
            silent = Connections.established(to: port) == 0 ? silent + 1 : 0
            Monotonic.sleep(.milliseconds(15))
        }
    }

    /// Waits for the health check and notes from which release the instance runs.
    private func gate(_ port: Int, _ release: String) throws {
        let unit = AppKeeper.unit(spec, port)
        let end = Deadline.seconds(Double(spec.healthTimeout))
        var reason: String?
        var looks = 0
        repeat {
            reason = HealthProbe.check(port: port, path: spec.healthPath, seconds: min(5, Double(spec.healthTimeout)))
            if reason == nil {
                return try note(port, release)
            }
            looks += 1
            // A unit that gave up will not come back; one that systemd restarts gets its time.
            if looks % 10 == 0, try UnitStatus.read([unit])[unit]?.active == "failed" { break }
            Monotonic.sleep(.milliseconds(50))
        } while !end.passed
        throw BasculeError(
            .unhealthy, "Port \(port) did not become healthy: \(reason ?? "no answer")", at: .thing(unit),
            cause: Systemctl.journal(unit))
    }

    /// The previous release again, for all that was switched. nil where it holds, else why not.
    private func putBack(_ previous: String, _ switched: [Int]) -> String? {
        context.progress("putting the previous release of \(spec.app) back")
        do {
            try AtomicFile.link(AppKeeper.link(spec.root), to: "releases/\(previous)")
            // The one that failed first: it takes no requests anyway.
            for port in switched.reversed() { try replace(port, previous) }
            try upstream.passOver(nil)
            return nil
        } catch {
            return describe(error)
        }
    }

    /// Notes from which release a running instance was started.
    private func note(_ port: Int, _ release: String) throws {
        let unit = AppKeeper.unit(spec, port)
        let status = try UnitStatus.read([unit])[unit] ?? .unknown
        guard status.isActive else { throw Systemctl.failure(unit, "start", nil) }
        let digest = try AppKeeper.unitDigest(spec)
        try remember { $0.instances["\(port)"] = .init(invocation: status.invocation, release: release, unit: digest) }
    }

    private func remember(_ change: (inout AppState) -> Void) throws {
        var state = AppState.load(spec.app, context) ?? AppState(previous: nil, instances: [:], token: nil)
        change(&state)
        try state.save(spec.app, context)
    }

    private func describe(_ error: any Error) -> String {
        let known = BasculeError.wrapping(error, "The rollout failed")
        return [known.message, known.cause].compactMap { $0 }.joined(separator: "\n")
    }
}
