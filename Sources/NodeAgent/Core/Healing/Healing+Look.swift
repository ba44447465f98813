import BasculeModel
import BasculeResources

/// Looking at resources, and putting right what may be put right.
extension Healing {
    /// Resources that are looked at and healed by one thread at a time: what is slow holds up only its like.
    enum Lane: CaseIterable, Sendable {
        /// Files and accounts: done at once, on the thread that watches.
        case quick
        case units, packages, data

        init?(_ resource: Resource) {
            switch resource.kind {
            case .file, .directory, .symlink, .group, .user, .sysctl, .firewall, .certificate: self = .quick
            case .unit, .timer, .app: self = .units
            case .package, .aptRepository: self = .packages
            case .postgresRole, .postgresDatabase, .postgresExtension, .postgresSetting: self = .data
            case .release, .command, .probe: return nil
            }
        }

        /// Owners before what they own, directories before what is in them.
        static func rank(_ resource: Resource) -> Int {
            switch resource.kind {
            case .group: 0
            case .user: 1
            case .directory: 2
            case .aptRepository: 3
            case .package: 4
            case .file, .symlink, .certificate: 5
            default: 6
            }
        }
    }

    /// What holds for all resources of one look; asked only where something differs.
    private final class Around {
        let healing: Healing
        let context: NodeContext
        lazy var isShuttingDown = SystemdSignals.systemState() == "stopping"
        lazy var isPackaging = AptLock.isHeld
        lazy var isMigrating = healing.edgeMode() == .maintenance
        lazy var holds = healing.holds.active(at: WallClock.now())
        lazy var statefulPaths = healing.state.withLock { Stateful.paths($0.set.entries.values.map(\.desired)) }
        private var fenced: [PostgresServer: Bool] = [:]
        var events: [AgentEvent] = []

        init(_ healing: Healing) {
            self.healing = healing
            context = healing.context()
        }

        /// A server that does not answer cannot be healed anyway.
        func isFenced(_ server: PostgresServer) -> Bool {
            if let known = fenced[server] { return known }
            let answer = (try? server.isFenced()) ?? true
            fenced[server] = answer
            return answer
        }
    }

    /// Looks at these resources and heals what may be healed.
    func look(_ ids: Set<ResourceID>) {
        var entries = state.withLock { state in
            // A segment's resources are looked at when it has ended.
            let busy = state.set.inSegments
            return ids.compactMap { busy.contains($0) ? nil : state.set.entries[$0] }
        }
        entries.sort {
            let (left, right) = (Lane.rank($0.desired.resource), Lane.rank($1.desired.resource))
            return left != right ? left < right : $0.desired.id < $1.desired.id
        }
        let around = Around(self)
        // In pieces: what is healed first is told first, and memory stays small.
        while !entries.isEmpty {
            let piece = Array(entries.prefix(64))
            entries.removeFirst(piece.count)
            let seen = ResourceKeeper.observe(piece.map(\.desired), around.context)
            var inOrder: [DesiredResource] = []
            for (entry, observation) in zip(piece, seen) {
                switch entry.desired.resource.verdict(observation.observed) {
                case .satisfied:
                    settle(entry, observation.observed, around)
                    inOrder.append(entry.desired)
                case .unreachable: forget(entry.desired.id)
                case .change(let change): consider(entry, observation.observed, change, around)
                }
            }
            do { try ResourceKeeper.adopt(inOrder, around.context) } catch {
                StandardError.write(line: "units could not be noted: \(error)")
            }
            tell(around.events)
            around.events = []
        }
    }

    /// A resource is as accepted.
    private func settle(_ entry: HealEntry, _ observed: Observed, _ around: Around) {
        let id = entry.desired.id
        let told = state.withLock { state -> DriftReason? in
            if case .package(let seen) = observed, seen.status == "installed", seen.version != entry.version,
                state.set.entries[id] == entry
            {
                state.set.entries[id]?.version = seen.version
                state.isUnsaved = true
            }
            return clear(id, &state)
        }
        guard let told else { return }
        around.events.append(
            AgentEvent(sequence: 0, time: 0, kind: .settled, resource: id, text: "as accepted again (\(told.rawValue))")
        )
        noteDrift()
    }

    private func forget(_ id: ResourceID) { _ = state.withLock { clear(id, &$0) } }

    /// Ends a difference; gives what was told of it. How often it was healed stays known for a while.
    private func clear(_ id: ResourceID, _ state: inout State) -> DriftReason? {
        state.due[id] = nil
        guard let tracker = state.trackers[id] else { return nil }
        var fresh = Tracker()
        fresh.backoff = tracker.backoff
        state.trackers[id] = fresh.backoff.strikes == 0 ? nil : fresh
        return tracker.told
    }

    func noteDrift() { DriftNotes.save(state.withLock { $0.trackers }, to: paths.drift) }

    /// A resource differs: heal it, or leave it and say why.
    private func consider(_ entry: HealEntry, _ observed: Observed, _ change: Change, _ around: Around) {
        let (id, resource) = (entry.desired.id, entry.desired.resource)
        let (now, monotonic) = (WallClock.now(), WallClock.monotonic())
        let answer = judge(entry, observed, change, around, now, monotonic)
        switch answer {
        case .leave(let reason, let until):
            let isNew = state.withLock { state -> Bool in
                var tracker = state.trackers[id] ?? Tracker()
                (tracker.reason, tracker.until) = (reason, until)
                let isNew = reason.isTold && tracker.told != reason
                if isNew { tracker.told = reason }
                state.trackers[id] = tracker
                state.due[id] = until.map { monotonic + max(0.05, $0 - now) }
                return isNew
            }
            if isNew {
                around.events.append(
                    AgentEvent(
                        sequence: 0, time: 0, kind: .drift, resource: id,
                        text: "\(Self.text(change)); left alone: \(reason.text)"))
                noteDrift()
            }
        case .heal:
            let mayBegin = state.withLock { state -> Bool in
                // Asked once more under the lock: a segment may have begun since.
                guard state.set.entries[id] == entry, !state.set.inSegments.contains(id),
                    !state.restoring.contains(id)
                else { return false }
                guard state.budget.take(at: monotonic) else {
                    state.due[id] = monotonic + 1
                    state.trackers[id]?.reason = .backoff
                    if monotonic - state.lastCapped > 60 {
                        state.lastCapped = monotonic
                        around.events.append(
                            AgentEvent(
                                sequence: 0, time: 0, kind: .capped,
                                text: "more than \(Int(settings.healsPerMinute)) heals a minute: the rest waits"))
                    }
                    return false
                }
                state.inWork.insert(id)
                return true
            }
            guard mayBegin else { return }
            heal(entry, resource, change, around)
        }
    }

    private func judge(
        _ entry: HealEntry, _ observed: Observed, _ change: Change, _ around: Around, _ now: Double,
        _ monotonic: Double
    ) -> HealPolicy.Answer {
        let (id, resource) = (entry.desired.id, entry.desired.resource)
        var at = HealPolicy.Circumstances()
        at.now = now
        at.hold = around.holds.first { $0.resource == nil || $0.resource == id }
        at.isShuttingDown = around.isShuttingDown
        at.isMigrating = around.isMigrating
        if resource.kind == .file || resource.kind == .symlink { at.statefulPaths = around.statefulPaths }
        if [.package, .unit, .app, .timer, .aptRepository].contains(resource.kind) {
            at.isPackaging = around.isPackaging
        }
        if resource.kind == .app { at.hasFailedInstance = ResourceKeeper.hasFailed(resource) }
        if case .postgresRole(let spec) = resource { at.isFenced = around.isFenced(spec.server) }
        return state.withLock { state in
            var tracker = state.trackers[id] ?? Tracker()
            if tracker.since == nil {
                tracker.since = (now, monotonic)
                state.sessions.look(at: now)
                tracker.sessions = state.sessions.witnesses(at: now)
            }
            tracker.summary = Self.text(change)
            state.trackers[id] = tracker
            at.isInSegment = state.set.inSegments.contains(id) || state.restoring.contains(id)
            at.isMigrating = at.isMigrating || state.set.migration != nil
            if !tracker.sessions.isEmpty {
                let ends = state.sessions.graceEnds(tracker.sessions, settings.sessionGrace)
                at.session = HealPolicy.Circumstances.Session(graceEnds: ends)
            }
            let wait = tracker.backoff.notBefore(settings) - monotonic
            if wait > 0 { at.backoff = now + wait }
            return HealPolicy.decide(resource, observed, change, at)
        }
    }

    private func heal(_ entry: HealEntry, _ resource: Resource, _ change: Change, _ around: Around) {
        let id = entry.desired.id
        let result = Result { () -> Change? in
            try ResourceKeeper.heal(entry.desired, version: entry.version, around.context)
            let after = ResourceKeeper.observe([entry.desired], around.context)
            guard let seen = after.first else { return nil }
            guard case .change(let rest) = resource.verdict(seen.observed) else { return nil }
            // What only an apply may do is not this heal's failure.
            if let reason = HealPolicy.limit(resource, seen.observed, rest, .init()), reason == .apply { return rest }
            throw BasculeError(
                .didNotConverge, "it was put right and is not as accepted still: \(Self.text(rest))",
                at: .thing(id.rawValue), hint: "something else on the node may set it; look at the node's journal")
        }
        let monotonic = WallClock.monotonic()
        var event = AgentEvent(sequence: 0, time: 0, kind: .healed, resource: id, text: Self.text(change))
        let hadTold = state.withLock { state -> Bool in
            state.inWork.remove(id)
            var tracker = state.trackers[id] ?? Tracker()
            let began = tracker.since?.monotonic ?? monotonic
            let told = tracker.told
            switch result {
            case .success(let rest):
                // What dies again soon is worse than what somebody edits again.
                tracker.backoff.strike(at: monotonic, settings, change.action == .start ? .crash : .plain)
                state.healed += 1
                event.seconds = monotonic - began
                tracker.since = nil
                (tracker.reason, tracker.until, tracker.told, tracker.sessions) = (nil, nil, nil, [])
                state.due[id] = nil
                if rest != nil { state.dirty.insert(id) }
            case .failure(let error):
                tracker.backoff.strike(at: monotonic, settings, .failure)
                state.failed += 1
                let known = BasculeError.wrapping(error, "healing failed")
                (event.kind, event.text, event.error) = (.healFailed, known.message, known)
                let wait = max(1, tracker.backoff.notBefore(settings) - monotonic)
                tracker.reason = .backoff
                tracker.until = WallClock.now() + wait
                state.due[id] = monotonic + wait
            }
            state.trackers[id] = tracker
            return told != nil
        }
        around.events.append(event)
        if hadTold { noteDrift() }
    }

    /// What differs, for people; never a value that could hold a secret.
    static func text(_ change: Change) -> String {
        change.differences.map { difference in
            switch (difference.before, difference.after) {
            case (let before?, let after?): "\(difference.attribute) \(before), not \(after)"
            case (nil, _): "\(difference.attribute) missing"
            case (_, nil): "\(difference.attribute) should not be"
            }
        }.joined(separator: "; ")
    }
}

extension DriftReason {
    /// Whether a person should hear of it; the others pass by themselves within moments.
    var isTold: Bool { [.session, .hold, .stateful, .apply, .migration].contains(self) }

    /// Why it is left alone, for people.
    package var text: String {
        switch self {
        case .session: "somebody was logged in when it changed"
        case .hold: "it is held"
        case .segment: "an apply is at work"
        case .migration: "the migration is not over"
        case .stateful: "only an apply touches a service that keeps data"
        case .apply: "only an apply does this"
        case .backoff: "it was put right too often of late"
        case .packages: "the package manager is at work"
        case .shutdown: "the machine is going down"
        }
    }
}
