import BasculeModel

/// What healing may do about one difference. Pure: every limit of healing is here.
enum HealPolicy {
    enum Answer: Equatable {
        case heal
        /// Left alone; `until` on the wall clock, nil for as long as it takes somebody to act.
        case leave(DriftReason, until: Double?)
    }

    /// What is so around a difference, at the moment of the decision.
    struct Circumstances {
        /// Seconds since 1970.
        var now = 0.0
        var hold: Hold?
        var isInSegment = false
        /// The migration is between freeze and its end, or the old edge shows its maintenance page.
        var isMigrating = false
        /// One of an app's instances is what systemd calls failed.
        var hasFailedInstance = false
        /// A source on this node is fenced.
        var isFenced = false
        var isShuttingDown = false
        /// Another program holds the package manager's lock.
        var isPackaging = false
        /// Set where somebody was logged in when the difference appeared: when the grace ends, nil while they still are.
        var session: Session?
        /// When the next attempt may be made, where the last ones did not last.
        var backoff: Double?
        /// Paths that a stateful service reads.
        var statefulPaths: Set<String> = []

        struct Session: Equatable { var graceEnds: Double? }
    }

    static func decide(_ desired: Resource, _ observed: Observed, _ change: Change, _ at: Circumstances) -> Answer {
        if let hold = at.hold { return .leave(.hold, until: hold.until) }
        if at.isInSegment { return .leave(.segment, until: nil) }
        if at.isShuttingDown { return .leave(.shutdown, until: at.now + 2) }
        let crashed = at.hasFailedInstance || isCrash(desired, observed)
        if at.isMigrating, !crashed { return .leave(.migration, until: nil) }
        if let reason = limit(desired, observed, change, at) { return .leave(reason, until: nil) }
        if !crashed {
            if let session = at.session, session.graceEnds.map({ at.now < $0 }) ?? true {
                return .leave(.session, until: session.graceEnds)
            }
            let waits: Set<ResourceKind> = [.package, .unit, .app, .timer, .aptRepository]
            if at.isPackaging, waits.contains(desired.kind) { return .leave(.packages, until: at.now + 2) }
        }
        if let next = at.backoff, next > at.now { return .leave(.backoff, until: next) }
        return .heal
    }

    /// A unit that systemd calls failed: nobody stopped it.
    static func isCrash(_ desired: Resource, _ observed: Observed) -> Bool {
        switch (desired, observed) {
        case (.unit(let spec), .unit(let seen)): spec.state == .running && !spec.masked && seen.active == "failed"
        default: false
        }
    }

    /// Why only an apply may do it; nil where healing may.
    static func limit(
        _ desired: Resource, _ observed: Observed, _ change: Change, _ at: Circumstances
    ) -> DriftReason? {
        switch (desired, observed) {
        case (.unit(let spec), .unit(let seen)):
            if Stateful.isUnit(spec.name) { return isCrash(desired, observed) ? nil : .stateful }
            // A restart cuts connections. What else differs is put right first.
            let restartOnly = change.differences.allSatisfy { $0.attribute == "process" && $0.after == "restarted" }
            return restartOnly && seen.active == "active" ? .apply : nil
        case (.package(let spec), .package(let seen)):
            if Stateful.isPackage(spec.name) { return .stateful }
            // Another version is a decision, not damage.
            return seen.status == "installed" ? .apply : nil
        case (.file(let spec), _): return at.statefulPaths.contains { covers($0, spec.path) } ? .stateful : nil
        case (.symlink(let spec), _): return at.statefulPaths.contains { covers($0, spec.path) } ? .stateful : nil
        case (.certificate, .certificate(let seen)): return seen.present ? .apply : nil
        case (.postgresRole, _): return at.isFenced ? .migration : nil
        case (.postgresDatabase, _), (.postgresExtension, _), (.postgresSetting, _): return .stateful
        case (.app(let spec), .app(let seen)):
            // Only what stopped is started, and only of the release that is there.
            return seen.current == String(spec.release.rawValue.prefix(16)) ? nil : .apply
        case (.release, _), (.command, _), (.probe, _): return .apply
        default: return nil
        }
    }

    private static func covers(_ known: String, _ path: String) -> Bool {
        known.hasSuffix("/") ? path.hasPrefix(known) : known == path
    }
}

/// The services that keep data or other people's connections.
enum Stateful {
    private static let units = ["postgresql", "pgbouncer", "redis", "postfix", "mariadb", "mysql"]
    private static let packages = ["postgresql", "pgbouncer", "redis", "postfix", "mariadb-server", "mysql-server"]
    /// Where their packages keep their configuration.
    static let directories: Set<String> = ["/etc/postgresql/", "/etc/pgbouncer/", "/etc/redis/", "/etc/postfix/"]

    /// `postgresql@15-main.service` is one; an exporter that watches it is not.
    static func isUnit(_ name: String) -> Bool { units.contains { matches(name, $0) } && !name.contains("exporter") }
    static func isPackage(_ name: String) -> Bool {
        packages.contains { matches(name, $0) } && !name.contains("client") && !name.contains("exporter")
    }

    private static func matches(_ name: String, _ word: String) -> Bool {
        guard name.hasPrefix(word) else { return false }
        guard let next = name.dropFirst(word.count).first else { return true }
        return "-@.".contains(next)
    }

    /// Every path that a stateful service of these reads.
    static func paths(_ resources: some Sequence<DesiredResource>) -> Set<String> {
        resources.reduce(into: directories) { paths, desired in
            guard case .unit(let spec) = desired.resource, isUnit(spec.name) else { return }
            paths.formUnion(spec.reloadOn + spec.restartOn)
        }
    }
}
