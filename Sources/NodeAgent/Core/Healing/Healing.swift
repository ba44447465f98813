import BasculeModel
import BasculeProtocol
import BasculeResources
import Synchronization

/// What the agent keeps whole by itself: the accepted resources, what is known of their differences, and who asked to
/// leave what alone. Shared by the loop that watches, the segments, and the connections.
package final class Healing: Sendable {
    /// What is known of one resource that differs, or did of late.
    struct Tracker: Sendable {
        /// Set while it differs: since when, on the wall clock and on the monotonic one.
        var since: (wall: Double, monotonic: Double)?
        var summary = ""
        var reason: DriftReason?
        /// On the wall clock.
        var until: Double?
        /// What the last event about it said.
        var told: DriftReason?
        /// Login sessions in which it may have been made.
        var sessions: Set<String> = []
        var backoff = Backoff()
    }

    struct State: Sendable {
        var set: HealSet
        var trackers: [ResourceID: Tracker] = [:]
        /// Being healed at this moment.
        var inWork: Set<ResourceID> = []
        /// Being put back by an undo.
        var restoring: Set<ResourceID> = []
        var sessions: LoginSessions
        var budget: HealBudget
        /// To be looked at.
        var dirty: Set<ResourceID> = []
        /// When to look again, on the monotonic clock.
        var due: [ResourceID: Double] = [:]
        /// The set changed since the loop last armed its watches.
        var isRearmed = false
        var isUnsaved = false
        var healed = 0
        var failed = 0
        var lastCapped = -Double.infinity
        var diskLow = false
        /// What was saved is not what the controller signed: nothing of it is healed.
        var isDisowned = false
    }

    let paths: AgentPaths
    let settings: AgentSettings
    let holds: Holds
    let outbox: Outbox
    let state: Mutex<State>
    /// What services answered last, and when on the monotonic clock.
    let asked = Mutex((at: -Double.infinity, services: [ServiceState]()))
    /// Set once the loop runs; wakes it up.
    let wake: WakePipe
    let trust: ControllerTrust?
    let context: @Sendable () -> NodeContext
    let edgeMode: @Sendable () -> EdgeMode?

    init(
        paths: AgentPaths, trust: ControllerTrust? = nil, context: @escaping @Sendable () -> NodeContext,
        edgeMode: @escaping @Sendable () -> EdgeMode?
    ) throws {
        (self.paths, self.context, self.edgeMode) = (paths, context, edgeMode)
        self.trust = trust.flatMap { $0.isPinned ? $0 : nil }
        settings = AgentSettings.load(paths.settings)
        holds = try Holds(path: paths.holds)
        outbox = try Outbox(directory: paths.outbox, clock: { WallClock.now() })
        wake = try WakePipe()
        var set = HealSet()
        do { set = try DurableFile.load(HealSet.self, from: paths.healSet) ?? HealSet() } catch {
            // The journal has it all, but for what manifests without a step brought.
            StandardError.write(line: "the heal set is made anew from the journal: \(error)")
        }
        let needed = set.referenced
        let isForged = self.trust.map { !needed.isEmpty && !needed.isSubset(of: $0.borneOut()) } ?? false
        if isForged { set.disown() }
        var first = State(
            set: set, sessions: .now(),
            budget: HealBudget(settings, now: WallClock.monotonic()))
        DriftNotes.load(paths.drift, into: &first)
        first.dirty = Set(set.entries.keys)
        first.isDisowned = isForged
        state = Mutex(first)
        guard isForged else { return }
        tell([
            AgentEvent(
                sequence: 0, time: 0, kind: .healFailed,
                text: "the heal set was changed on this node: nothing of it is healed until the next apply",
                error: BasculeError(
                    .badSignature, "the heal set is not what the controller signed",
                    hint: "find out who changed \(paths.healSet), then run bascule apply"))
        ])
    }

    /// Takes away signed files that neither the heal set nor a segment needs.
    func pruneSigned(hasEnded: (SegmentID) -> Bool) {
        guard let trust else { return }
        let (needed, current) = state.withLock { ($0.set.referenced, $0.set.manifest) }
        trust.pruneManifests(needed: needed, current: current)
        trust.pruneSegments(needed: needed, hasEnded: hasEnded)
    }

    // MARK: - Segments

    /// Takes in what the journal has beyond what was saved. To be called once, before anything runs.
    func replay(_ records: some Sequence<JournalRecord>) {
        state.withLock { state in
            let known = state.set.through
            var forged: Set<SegmentID> = []
            for record in records where record.sequence > known {
                if case .accepted(let segment) = record.event, let trust, (try? trust.verified(segment)) == nil {
                    forged.insert(record.segment)
                }
                // Who wrote such a segment into the journal is not known: nothing of it is healed.
                if !forged.contains(record.segment) { state.set.take(record) }
            }
            if state.isDisowned { state.set.disown() }
            state.dirty = Set(state.set.entries.keys)
            state.isUnsaved = true
        }
    }

    /// Takes one record of a running segment in, as it is written.
    func note(_ record: JournalRecord) {
        var hasEnded = false
        if case .ended = record.event { hasEnded = true }
        state.withLock { state in
            let before = hasEnded ? state.set.inSegments : []
            state.set.take(record)
            if case .accepted = record.event { return }
            state.isRearmed = false
            state.isUnsaved = true
            guard hasEnded else { return }
            let over = before.subtracting(state.set.inSegments)
            for id in over { state.trackers[id] = nil }
            state.dirty.formUnion(over)
            // What waited for the migration's end goes on now.
            state.dirty.formUnion(state.trackers.filter { $0.value.reason == .migration }.keys)
        }
        // Saved by the loop: the journal has it all, and nobody who waits for the segment's end should wait for this.
        if hasEnded { wake.ring() }
    }

    /// Segments that the journal begins and that do not run: nobody vouches for them.
    func keepOnly(_ segments: Set<SegmentID>) {
        for segment in state.withLock({ $0.set.segments.subtracting(segments) }) { pause(segment) }
    }

    /// A segment that stopped without an end, e.g. on a full disk.
    func pause(_ segment: SegmentID) {
        state.withLock { state in
            let before = state.set.inSegments
            state.set.pause(segment)
            state.dirty.formUnion(before.subtracting(state.set.inSegments))
        }
        wake.ring()
    }

    /// Returns when none of these is being healed any more. A segment that names them keeps new heals from beginning.
    func quiet(_ ids: [ResourceID]) {
        while state.withLock({ state in ids.contains { state.inWork.contains($0) } }) { usleepBriefly() }
    }

    /// Saves what changed, once no segment is at work.
    func saveIfNeeded() { state.withLock { if $0.isUnsaved, !$0.set.isInSegment { save(&$0) } } }

    /// What is saved must not be lost, but a full disk must not stop a segment either: the journal has it too.
    func save(_ state: inout State) {
        do {
            try DurableFile.save(state.set, to: paths.healSet)
            state.isUnsaved = false
        } catch { StandardError.write(line: "the heal set could not be saved: \(error)") }
    }

    // MARK: - Requests

    /// Takes the node's whole manifest. Resources that it does not name are left alone from now on.
    /// - Parameter signed: the request that brought it; kept, so that after a restart it bears out the heal set.
    func accept(_ resources: [DesiredResource], signed: SignedRequest? = nil) throws {
        let digest = Digest(of: try Wire.encode(resources))
        if let signed { try trust?.keep(manifest: signed, digest) }
        let (entries, busy) = state.withLock { ($0.set.entries, $0.set.inSegments.union($0.restoring)) }
        let fresh = resources.filter {
            $0.resource.isKept && entries[$0.id]?.desired != $0 && !busy.contains($0.id)
        }
        var satisfied: Set<ResourceID> = []
        for (desired, seen) in zip(fresh, ResourceKeeper.observe(fresh, context())) {
            if case .satisfied = desired.resource.verdict(seen.observed) { satisfied.insert(desired.id) }
        }
        state.withLock { state in
            let known = Set(state.set.entries.keys)
            state.isDisowned = false
            guard state.set.accept(resources, digest: digest, satisfied: satisfied) else { return }
            for id in known where state.set.entries[id] == nil { state.trackers[id] = nil }
            state.isRearmed = false
            state.dirty.formUnion(satisfied)
            save(&state)
            // Not before it is saved: what is on the disk must be borne out at every moment.
            if !state.isUnsaved { trust?.pruneManifests(needed: state.set.referenced, current: state.set.manifest) }
        }
        wake.ring()
    }

    /// Digest of the last manifest, where all that it names is kept.
    var manifest: Digest? { state.withLock { $0.set.manifest } }

    func hold(_ resource: ResourceID?, seconds: Double?, reason: String) throws {
        if let resource { try check(resource) }
        if let seconds, !(seconds > 0 && seconds <= 366 * 86_400) {
            throw BasculeError(.invalidInput, "a hold lasts between a second and a year")
        }
        let now = WallClock.now()
        try holds.add(
            Hold(resource: resource, since: now, until: seconds.map { now + $0 }, reason: String(reason.prefix(500))))
        tell([
            AgentEvent(
                sequence: 0, time: 0, kind: .held, resource: resource,
                text: "left alone \(seconds.map { "for \(Int($0)) s" } ?? "until released"): \(reason.prefix(500))")
        ])
        lookAgain(resource)
    }

    func release(_ resource: ResourceID?) throws {
        let over = holds.expire(at: WallClock.now())
        if !over.isEmpty { released(over, "its time is over") }
        let ended = try holds.remove(resource)
        guard !ended.isEmpty else {
            throw BasculeError(
                .invalidInput, resource.map { "\($0) is not held" } ?? "nothing is held on this node",
                hint: "bascule-agent status lists the holds")
        }
        released(ended, "released")
    }

    /// Tells of holds that ended, and looks at what they covered.
    func released(_ ended: [Hold], _ how: String) {
        tell(
            ended.map { AgentEvent(sequence: 0, time: 0, kind: .released, resource: $0.resource, text: how) })
        for hold in ended { lookAgain(hold.resource) }
    }

    private func check(_ resource: ResourceID) throws {
        guard state.withLock({ $0.set.entries[resource] == nil }) else { return }
        throw BasculeError(
            .invalidInput, "this node does not keep a resource \(resource)",
            hint: "its id is NODE/KIND:NAME, as bascule plan and bascule-agent status show it")
    }

    private func lookAgain(_ resource: ResourceID?) {
        state.withLock { state in
            if let resource { state.dirty.insert(resource) } else { state.dirty = Set(state.set.entries.keys) }
        }
        wake.ring()
    }

    /// Puts the node back to before a segment, and takes up again what was accepted then.
    func restore(
        _ segment: SegmentID, _ ids: [ResourceID], _ body: () throws -> [ResourceID: String]
    ) throws -> [ResourceID: String] {
        state.withLock { $0.restoring.formUnion(ids) }
        defer {
            state.withLock { state in
                state.restoring.subtract(ids)
                for id in ids { state.trackers[id] = nil }
                state.dirty.formUnion(ids)
                state.isRearmed = false
            }
            wake.ring()
        }
        quiet(ids)
        var results = try body()
        let restored = ids.filter { results[$0] == "restored" }
        let (kept, paths) = state.withLock { state -> ([DesiredResource], Set<String>) in
            let changed = restored.compactMap { state.set.entries[$0] }
            state.set.undo(segment, restored)
            // The fleet file says something else again: the next apply tells what holds.
            state.set.manifest = nil
            save(&state)
            let both = changed + restored.compactMap { state.set.entries[$0] }
            return (
                state.set.entries.values.map(\.desired),
                Set(both.flatMap { ResourceKeeper.paths(of: $0.desired.resource) })
            )
        }
        // A unit that the segment itself changed was restored; what reads its files has to hear of them, too.
        results.merge(ResourceKeeper.renew(kept, reading: paths, context())) { $0 == "restored" ? $1 : $0 }
        state.withLock { state in for id in results.keys { state.trackers[id] = nil } }
        noteDrift()
        tell([
            AgentEvent(
                sequence: 0, time: 0, kind: .undone,
                text: "\(restored.count) resources are as before segment \(segment)")
        ])
        return results
    }

    /// Notes events; what cannot be kept is at least in the node's own journal.
    func tell(_ events: [AgentEvent]) {
        guard !events.isEmpty else { return }
        for event in events where event.kind != .healed {
            StandardError.write(line: "\(event.kind.rawValue) \(event.resource?.rawValue ?? ""): \(event.text)")
        }
        do { try outbox.append(events) } catch { StandardError.write(line: "events could not be kept: \(error)") }
    }

    func status() -> HealingStatus {
        let now = WallClock.now()
        let mode = edgeMode()
        return state.withLock { state in
            let drift = state.trackers.compactMap { id, tracker -> Drift? in
                guard let since = tracker.since, let reason = tracker.reason else { return nil }
                return Drift(
                    resource: id, since: since.wall, summary: tracker.summary, reason: reason, until: tracker.until)
            }
            var why: String?
            if let segment = state.set.migration {
                why =
                    state.set.stuck == segment
                    ? "the migration got stuck in segment \(segment): only crashed units are started"
                    : "segment \(segment) conducts the migration: only crashed units are started"
            } else if state.isDisowned {
                why = "what was to be healed was changed on this node: nothing is, until the next apply"
            } else if mode == .maintenance {
                why = "the maintenance page is up: only crashed units are started"
            }
            return HealingStatus(
                managed: state.set.entries.values.count { $0.desired.resource.kind != .probe }, healed: state.healed,
                failed: state.failed,
                drift: Array(drift.sorted { ($0.since, $0.resource) < ($1.since, $1.resource) }.prefix(200)),
                holds: holds.active(at: now), lastEvent: outbox.last, suspended: why, diskLow: state.diskLow)
        }
    }
}
