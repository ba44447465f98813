import BasculeModel
import BasculeResources
import Glibc
import Synchronization

/// The thread that watches: waits for inotify, systemd and the packet filter at once, and looks at what they name.
final class HealLoop {
    private let healing: Healing
    private let floor: DiskFloor
    private let metrics: AgentMetrics
    private let memory: IdleMemory
    private var watch: FileWatch?
    private var signals: SystemdSignals?
    private var filter: NetfilterSignals?
    private var unitOwners: [String: Set<ResourceID>] = [:]
    private var sysctls: [ResourceID: SysctlSpec] = [:]
    private var liveValues: [ResourceID: String] = [:]
    private var servers: [PostgresServer: Set<ResourceID>] = [:]
    private var pulses: [PostgresServer: PostgresPulse] = [:]
    private var firewalls: Set<ResourceID> = []
    /// What the watches were last armed for.
    private var armed: [ResourceID: DesiredResource] = [:]
    private var lastArmed = -Double.infinity
    private var nextTick = 0.0
    private var nextRescan = 0.0
    private var nextConnect = 0.0
    private var sessionsDue = Double.infinity
    /// Lanes with a thread of their own at work.
    private let busy = Busy()

    /// Seconds between two looks at what tells nothing by itself.
    private static let tick = 3.0
    /// Seconds between two looks at everything, should a signal ever have been missed.
    private static let rescan = 300.0
    /// Seconds from a login's first sign to a look at the sessions: less than any session lasts, and enough for all that
    /// logind writes of it, and of others that begin at once. What drifts meanwhile looks by itself.
    private static let sessionsPause = 0.05
    private static let sessionsKey = "\u{0}sessions"
    private static let accountsKey = "\u{0}accounts"

    private final class Busy: Sendable { let lanes = Mutex<Set<Healing.Lane>>([]) }

    init(_ healing: Healing, _ memory: IdleMemory) {
        (self.healing, self.memory) = (healing, memory)
        floor = DiskFloor(healing)
        metrics = AgentMetrics(healing)
    }

    /// Watches and heals for ever, on a thread of its own.
    static func begin(_ healing: Healing, _ memory: IdleMemory) {
        Thread.detach {
            let loop = HealLoop(healing, memory)
            loop.run()
        }
    }

    private func run() {
        do { watch = try FileWatch() } catch {
            healing.tell([AgentEvent(sequence: 0, time: 0, kind: .note, text: "files are only polled: \(error)")])
        }
        filter = NetfilterSignals()
        nextRescan = WallClock.monotonic() + Self.rescan
        while true {
            let now = WallClock.monotonic()
            if now >= nextTick {
                nextTick = now + Self.tick
                look(at: now)
            }
            if now >= sessionsDue { sessionsChanged() }
            arm(now)
            if signals == nil, now >= nextConnect { connect(now) }
            work(now)
            healing.saveIfNeeded()
            wait()
        }
    }

    // MARK: - Waiting

    private func wait() {
        let now = WallClock.monotonic()
        let (due, isArmed) = healing.state.withLock { ($0.due.values.min() ?? .infinity, $0.isRearmed) }
        var next = min(nextTick, due)
        if signals == nil { next = min(next, nextConnect) }
        if !isArmed { next = min(next, lastArmed + 0.2) }
        next = min(next, sessionsDue)
        var open = [pollfd(fd: healing.wake.reading, events: Int16(POLLIN), revents: 0)]
        open.append(pollfd(fd: watch?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
        open.append(pollfd(fd: signals?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
        open.append(pollfd(fd: filter?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
        guard poll(&open, nfds_t(open.count), Int32(max(0, min(10, next - now)) * 1000) + 1) > 0 else { return }
        if open[0].revents != 0 { healing.wake.drain() }
        // A file that is being written tells several times, and so does a unit: a moment brings it all at once.
        if open[1].revents != 0 || open[2].revents != 0 { usleep(10_000) }
        if open[1].revents != 0 { takeFileNews() }
        if open[2].revents != 0 { takeUnitNews() }
        if open[3].revents != 0, filter?.hasNews() ?? false { mark(firewalls) }
    }

    private func takeFileNews() {
        guard let news = watch?.news() else { return }
        if news.overflow { return markAll() }
        var ids: Set<ResourceID> = []
        for key in news.keys {
            switch key {
            case Self.sessionsKey: sessionsDue = min(sessionsDue, WallClock.monotonic() + Self.sessionsPause)
            case Self.accountsKey:
                // Who owns a file is a name: with the accounts every owner may be another.
                ids.formUnion(owned())
            default: ids.insert(ResourceID(rawValue: key))
            }
        }
        mark(ids)
    }

    private func owned() -> Set<ResourceID> {
        healing.state.withLock { state in
            Set(
                state.set.entries.filter {
                    [.file, .directory, .user, .group].contains($0.value.desired.resource.kind)
                }
                .keys)
        }
    }

    private func sessionsChanged() {
        sessionsDue = .infinity
        healing.state.withLock { state in
            let before = state.sessions.open
            state.sessions.look(at: WallClock.now())
            guard before != state.sessions.open else { return }
            state.dirty.formUnion(state.trackers.filter { $0.value.reason == .session }.keys)
        }
    }

    private func takeUnitNews() {
        do {
            guard let news = try signals?.news() else { return }
            if news.all { return mark(unitOwners.values.reduce(into: []) { $0.formUnion($1) }) }
            mark(news.units.reduce(into: []) { $0.formUnion(unitOwners[$1] ?? []) })
        } catch {
            // systemd executes itself anew, e.g. when it is upgraded.
            signals = nil
            nextConnect = WallClock.monotonic() + 0.2
        }
    }

    private func connect(_ now: Double) {
        nextConnect = now + 2
        guard let made = try? SystemdSignals(of: Set(unitOwners.keys)) else { return }
        signals = made
        mark(unitOwners.values.reduce(into: []) { $0.formUnion($1) })
    }

    private func mark(_ ids: Set<ResourceID>) {
        guard !ids.isEmpty else { return }
        healing.state.withLock { state in
            for id in ids where state.set.entries[id] != nil { state.dirty.insert(id) }
        }
    }

    private func markAll() { healing.state.withLock { $0.dirty = Set($0.set.entries.keys) } }

    // MARK: - What is watched

    /// Watches what the set holds now. Not more often than five times a second: an apply changes it step by step.
    private func arm(_ now: Double) {
        guard now - lastArmed >= 0.2 else { return }
        let entries = healing.state.withLock { state -> [DesiredResource]? in
            if state.isRearmed { return nil }
            state.isRearmed = true
            return state.set.entries.values.map(\.desired)
        }
        guard let entries else { return }
        lastArmed = now
        var paths: [String: Set<FileWatch.Key>] = [
            "\(LoginSessions.directory)/": [Self.sessionsKey], LoginSessions.utmp: [Self.sessionsKey],
            "/etc/passwd": [Self.accountsKey], "/etc/group": [Self.accountsKey],
        ]
        (unitOwners, sysctls, servers, firewalls) = ([:], [:], [:], [])
        for desired in entries where Healing.Lane(desired.resource) != nil {
            for path in ResourceKeeper.paths(of: desired.resource) {
                paths[path, default: []].insert(desired.id.rawValue)
            }
            for unit in ResourceKeeper.units(of: desired.resource) { unitOwners[unit, default: []].insert(desired.id) }
            if case .sysctl(let spec) = desired.resource { sysctls[desired.id] = spec }
            if case .firewall = desired.resource { firewalls.insert(desired.id) }
            if let server = desired.resource.postgresServer { servers[server, default: []].insert(desired.id) }
        }
        // Others than before are told of from now on; connecting looks at all of them once.
        if let told = signals?.units, told != Set(unitOwners.keys) { (signals, nextConnect) = (nil, 0) }
        watch?.watch(paths)
        // What changed between its joining and its watch has told nobody.
        let known = armed
        armed = Dictionary(entries.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        mark(Set(entries.filter { known[$0.id] != $0 }.map(\.id)))
    }

    // MARK: - What tells nothing by itself

    private func look(at now: Double) {
        if now >= nextRescan || watch == nil {
            nextRescan = now + Self.rescan
            markAll()
        }
        let over = healing.holds.expire(at: WallClock.now())
        if !over.isEmpty { healing.released(over, "its time is over") }
        if healing.edgeMode() != .maintenance {
            healing.state.withLock { state in
                guard state.set.migration == nil else { return }
                state.dirty.formUnion(state.trackers.filter { $0.value.reason == .migration }.keys)
            }
        }
        sessionsChanged()
        if let keys = watch?.retry() { mark(Set(keys.map { ResourceID(rawValue: $0) })) }
        for (id, spec) in sysctls {
            let live = ResourceKeeper.liveValue(spec)
            if live != liveValues[id] { mark([id]) }
            liveValues[id] = live
        }
        for (server, ids) in servers {
            let pulse = PostgresPulse(server)
            if pulse != pulses[server] { mark(ids) }
            pulses[server] = pulse
        }
        healing.state.withLock { state in
            for (id, tracker) in state.trackers
            where tracker.since == nil && now - tracker.backoff.last > 2 * healing.settings.backoffCap {
                state.trackers[id] = nil
            }
        }
        floor.look(at: now)
        metrics.tell(at: now)
    }

    // MARK: - Work

    private func work(_ now: Double) {
        let lanes = healing.state.withLock { state -> [Healing.Lane: Set<ResourceID>] in
            for (id, time) in state.due where time <= now {
                state.due[id] = nil
                state.dirty.insert(id)
            }
            let taken = state.dirty
            state.dirty = []
            var lanes: [Healing.Lane: Set<ResourceID>] = [:]
            for id in taken {
                guard let entry = state.set.entries[id], let lane = Healing.Lane(entry.desired.resource) else {
                    continue
                }
                lanes[lane, default: []].insert(id)
            }
            return lanes
        }
        if !lanes.isEmpty { memory.worked() }
        for (lane, ids) in lanes {
            if lane == .quick {
                healing.look(ids)
                continue
            }
            guard busy.lanes.withLock({ $0.insert(lane).inserted }) else {
                // Its thread is still at work: they come next.
                healing.state.withLock { state in for id in ids { state.due[id] = now + 0.25 } }
                continue
            }
            let (healing, busy) = (healing, busy)
            Thread.detach {
                healing.look(ids)
                _ = busy.lanes.withLock { $0.remove(lane) }
                healing.wake.ring()
            }
        }
    }
}
