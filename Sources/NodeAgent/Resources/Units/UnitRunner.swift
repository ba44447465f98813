import BasculeModel
import BasculeNet
import Synchronization

/// Starts, restarts and reloads units, and sees that they stay up.
enum UnitRunner {
    /// Does what a running unit needs: nothing, a start, a restart or a reload.
    static func run(_ spec: UnitSpec, _ context: NodeContext) throws {
        let seen = try UnitKeeper.observe(spec, try UnitStatus.read([spec.name]), context)
        let verb: String
        switch seen.active {
        case "active", "reloading", "activating":
            if seen.restartPending {
                verb = "restart"
            } else if seen.reloadPending {
                verb = "reload-or-restart"
            } else {
                return try record(spec, verb: "adopt", context)
            }
        default: verb = "start"
        }
        if let check = spec.check { try self.check(check, spec.name) }
        // Noted before the unit reads its files: a change in between asks for another restart, never for too few.
        let restart = try UnitRecord.digests(UnitKeeper.restartFiles(spec), context)
        let reload = try UnitRecord.digests(spec.reloadOn, context)
        context.progress("\(verb) \(spec.name)")
        if verb == "start", seen.active == "failed" { _ = try Systemctl.attempt(["reset-failed", "--", spec.name]) }
        let before = try UnitStatus.read([spec.name])[spec.name]
        let outcome = try Systemctl.attempt([verb, "--", spec.name])
        guard outcome.status == 0 else { throw Systemctl.failure(spec.name, verb, outcome) }
        if let status = try UnitStatus.read([spec.name])[spec.name], status.conditionFailed, !status.isActive {
            return context.progress("\(spec.name) does not start here: one of its own conditions does not hold")
        }
        let after = try Systemctl.requireActive(spec.name, verb)
        let old = UnitRecord.load(spec.name, context)
        let wasReloaded = verb == "reload-or-restart" && before?.invocation == after.invocation
        // A reload does not start anew: what the unit was started with stays on record.
        let started = wasReloaded ? (old?.invocation == after.invocation ? old?.restart ?? [:] : [:]) : restart
        try UnitRecord(after, restart: started, reload: reload).save(spec.name, context)
    }

    /// Starts at once what is only to be started: systemd orders it and waits for all together. A failure is left to
    /// the single start that follows, which knows how to tell it.
    static func startTogether(_ specs: [UnitSpec], _ context: NodeContext) throws {
        let candidates = specs.filter { $0.state == .running && !$0.masked }
        guard candidates.count > 1 else { return }
        let statuses = try UnitStatus.read(candidates.map(\.name))
        let idle = candidates.filter { spec in
            guard let status = statuses[spec.name] else { return false }
            return status.active == "inactive" && status.load == "loaded"
        }
        guard idle.count > 1 else { return }
        for spec in idle { if let check = spec.check { try self.check(check, spec.name) } }
        var digests: [String: (restart: [String: Digest], reload: [String: Digest])] = [:]
        for spec in idle {
            digests[spec.name] = (
                try UnitRecord.digests(UnitKeeper.restartFiles(spec), context),
                try UnitRecord.digests(spec.reloadOn, context)
            )
        }
        context.progress("start \(idle.map(\.name).joined(separator: " "))")
        _ = try Systemctl.attempt(["start", "--"] + idle.map(\.name))
        let now = try UnitStatus.read(idle.map(\.name))
        for spec in idle {
            guard let status = now[spec.name], status.isActive, let noted = digests[spec.name] else { continue }
            try UnitRecord(status, restart: noted.restart, reload: noted.reload)
                .save(spec.name, context)
        }
    }

    /// Notes the files of a unit that already runs with them.
    private static func record(_ spec: UnitSpec, verb: String, _ context: NodeContext) throws {
        try adopt(spec, try Systemctl.requireActive(spec.name, verb), context)
    }

    /// Notes with which files a unit runs that somebody else started.
    static func adopt(_ spec: UnitSpec, _ status: UnitStatus, _ context: NodeContext) throws {
        guard UnitRecord.load(spec.name, context)?.invocation != status.invocation else { return }
        try UnitRecord(
            status, restart: UnitRecord.digests(UnitKeeper.restartFiles(spec), context),
            reload: UnitRecord.digests(spec.reloadOn, context)
        ).save(spec.name, context)
    }

    /// Runs a configuration check; nothing is restarted where it fails.
    static func check(_ argv: [String], _ unit: String) throws {
        let outcome = try Subprocess.run(argv, .init(deadline: .seconds(60)))
        guard outcome.status == 0 else {
            throw BasculeError(
                .checkFailed, "The configuration check of \(unit) failed; nothing was restarted", at: .thing(unit),
                cause: outcome.cause(), hint: "correct the configuration; `\(argv.joined(separator: " "))` must succeed"
            )
        }
    }
}

/// systemctl and journalctl, for what changes things.
enum Systemctl {
    /// Held while units are enabled or disabled. From 255 on systemd says of every unit that it needs a daemon-reload
    /// between the change of one's links and the reload that systemctl does right after.
    static let links = Mutex(())

    static func attempt(_ arguments: [String], deadline: Duration = .seconds(180)) throws -> ProcessOutcome {
        let changesLinks = ["enable", "disable", "mask", "unmask"].contains(arguments.first)
        // What also stops units may take long, and nobody else is to wait for that.
        guard changesLinks, !arguments.contains("--now") else { return try execute(arguments, deadline) }
        return try links.withLock { _ in try execute(arguments, deadline) }
    }

    /// Runs it whoever else changes links: for who holds `links`.
    static func require(_ arguments: [String]) throws {
        let outcome = try execute(arguments, .seconds(180))
        guard outcome.status == 0 else { throw refused(arguments, outcome) }
    }

    private static func refused(_ arguments: [String], _ outcome: ProcessOutcome) -> BasculeError {
        BasculeError(
            .unitFailed, "systemctl \(arguments.joined(separator: " ")) failed", cause: outcome.cause(lines: 8))
    }

    private static func execute(_ arguments: [String], _ deadline: Duration) throws -> ProcessOutcome {
        try Subprocess.run(["systemctl", "--no-ask-password", "--no-pager"] + arguments, .init(deadline: deadline))
    }

    static func run(_ arguments: [String]) throws {
        let outcome = try attempt(arguments)
        guard outcome.status == 0 else { throw refused(arguments, outcome) }
    }

    /// Waits until a unit is active and has stayed so for a moment: a simple service counts as started before it
    /// has read its configuration.
    static func requireActive(_ unit: String, _ verb: String, deadline: Deadline = .seconds(120)) throws -> UnitStatus {
        var settled = false
        while true {
            let status = try UnitStatus.read([unit])[unit] ?? .unknown
            switch status.active {
            case "active" where settled || verb == "adopt" || !needsSettling(unit): return status
            case "active":
                settled = true
                Monotonic.sleep(.milliseconds(100))
            case "activating", "reloading", "deactivating":
                settled = false
                guard !deadline.passed else { throw failure(unit, verb, nil) }
                Monotonic.sleep(.milliseconds(50))
            default: throw failure(unit, verb, nil)
            }
        }
    }

    private static func needsSettling(_ unit: String) -> Bool { unit.hasSuffix(".service") }

    static func failure(_ unit: String, _ verb: String, _ outcome: ProcessOutcome?) -> BasculeError {
        let journal = journal(unit)
        let cause = [outcome?.cause(lines: 3), journal].compactMap { $0 }.joined(separator: "\n")
        return BasculeError(
            .unitFailed, "\(unit) did not become active after \(verb)", at: .thing(unit),
            cause: cause.isEmpty ? nil : cause, hint: "`journalctl -u \(unit)` on the node has more")
    }

    /// The last lines that a unit wrote.
    static func journal(_ unit: String, lines: Int = 20) -> String? {
        let argv = ["journalctl", "-u", unit, "-n", "\(lines)", "-o", "cat", "--no-pager", "-q"]
        let outcome = try? Subprocess.run(argv, .init(deadline: .seconds(10)))
        guard let text = outcome?.text, !text.isEmpty else { return nil }
        return String(text.suffix(3000))
    }
}
