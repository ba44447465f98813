import BasculeModel
import BasculeProtocol

/// What a resource was accepted as.
struct HealEntry: Hashable, Codable, Sendable {
    var desired: DesiredResource
    /// A package's version as it was last seen in order: what it comes back at.
    var version: String?
}

/// The accepted resources of this node, and what they were before each segment. A value: who owns it saves it.
///
/// It follows from the journal: each step's resources join when the step has succeeded. What is saved is a summary up to
/// one of the journal's records; the records after that one are read again.
struct HealSet: Codable, Sendable {
    /// Number of the journal's last record that is in.
    var through = 0
    var entries: [ResourceID: HealEntry] = [:]
    /// Digest of the last manifest, where all that it names is in.
    var manifest: Digest?
    /// What stood here before the last segments: by segment, nil for what was not here.
    private(set) var before: [SegmentID: [ResourceID: HealEntry?]] = [:]
    /// Segments in `before`, oldest first.
    private(set) var recent: [SegmentID] = []
    /// A conducted segment that got stuck: a person has to look before anything is healed.
    var stuck: SegmentID?

    /// Segments that run, with the resources of each step. Not saved: the journal has it.
    private var running: [SegmentID: Running] = [:]

    private struct Running: Sendable {
        var accepted: Int
        var isConducted: Bool
        var steps: [StepID: (forward: [DesiredResource], back: [DesiredResource])]
    }

    private enum CodingKeys: CodingKey { case through, entries, manifest, before, recent, stuck }

    private static let remembered = 20

    /// Takes one record of the journal in. Records must come in order; one that is in already changes nothing new.
    mutating func take(_ record: JournalRecord) {
        switch record.event {
        case .accepted(let segment):
            var steps: [StepID: (forward: [DesiredResource], back: [DesiredResource])] = [:]
            for step in segment.steps {
                let (forward, back) = (step.action.resources, step.compensation?.resources ?? [])
                if !forward.isEmpty || !back.isEmpty { steps[step.id] = (forward, back) }
            }
            running[segment.id] = Running(
                accepted: record.sequence, isConducted: segment.lease != nil, steps: steps)
            if segment.lease != nil { stuck = nil }
        case .finished(let step, let result):
            guard result.isGood, let known = running[record.segment]?.steps[step] else { break }
            for desired in known.forward { join(desired, in: record.segment) }
        case .compensated(let step, let result):
            guard let known = running[record.segment]?.steps[step] else { break }
            for desired in known.forward { leave(desired.id, in: record.segment) }
            if result.isGood { for desired in known.back { join(desired, in: record.segment) } }
        case .ended(let outcome):
            if outcome.status == .stuck, running[record.segment]?.isConducted == true { stuck = record.segment }
            running[record.segment] = nil
        case .started, .rollingBack, .compensating, .note, .awaitingConfirmation: break
        }
        // What a segment that still runs has done is read from the journal again.
        through = running.values.map { $0.accepted - 1 }.min() ?? max(through, record.sequence)
    }

    /// A segment that stopped without an end goes on later; until then its resources are healed again.
    mutating func pause(_ segment: SegmentID) { running[segment] = nil }

    /// The resources that the running segments may change.
    var inSegments: Set<ResourceID> {
        running.values.reduce(into: []) { all, segment in
            for step in segment.steps.values { all.formUnion((step.forward + step.back).map(\.id)) }
        }
    }

    /// The segments that run.
    var segments: Set<SegmentID> { Set(running.keys) }
    var isInSegment: Bool { !running.isEmpty }

    /// The segment that conducts the migration, or got stuck with it.
    var migration: SegmentID? { running.first { $0.value.isConducted }?.key ?? stuck }

    private mutating func join(_ desired: DesiredResource, in segment: SegmentID) {
        guard desired.resource.isKept else { return leave(desired.id, in: segment) }
        remember(desired.id, segment)
        entries[desired.id] = HealEntry(desired: desired, version: nil)
    }

    private mutating func leave(_ id: ResourceID, in segment: SegmentID) {
        guard entries[id] != nil else { return }
        remember(id, segment)
        entries[id] = nil
    }

    private mutating func remember(_ id: ResourceID, _ segment: SegmentID) {
        if before[segment] == nil {
            recent.append(segment)
            while recent.count > Self.remembered { before[recent.removeFirst()] = nil }
        }
        if before[segment]?[id] == nil { before[segment, default: [:]][id] = .some(entries[id]) }
    }

    /// All that may be healed from here, now or after an undo.
    var referenced: Set<DesiredResource> {
        before.values.reduce(into: Set(entries.values.map(\.desired))) { all, known in
            for case let entry? in known.values { all.insert(entry.desired) }
        }
    }

    /// Forgets what was accepted. What runs goes on.
    mutating func disown() { (entries, manifest, before, recent) = ([:], nil, [:], []) }

    /// Puts back what was accepted before a segment, for the resources that were put back on the node.
    mutating func undo(_ segment: SegmentID, _ restored: [ResourceID]) {
        for id in restored { entries[id] = before[segment]?[id] ?? nil }
    }

    /// The whole of what is managed: what is not named leaves; what is as declared joins; the rest stays as it was
    /// accepted before.
    /// - Returns: whether anything changed.
    mutating func accept(_ resources: [DesiredResource], digest: Digest, satisfied: Set<ResourceID>) -> Bool {
        let old = entries
        let named = Set(resources.map(\.id))
        entries = entries.filter { named.contains($0.key) }
        for desired in resources where satisfied.contains(desired.id) && entries[desired.id]?.desired != desired {
            entries[desired.id] = desired.resource.isKept ? HealEntry(desired: desired, version: nil) : nil
        }
        let isWhole = resources.allSatisfy { !$0.resource.isKept || entries[$0.id]?.desired == $0 }
        let next = isWhole ? digest : nil
        defer { manifest = next }
        return manifest != next || entries != old
    }
}

extension StepAction {
    /// The resources that a step brings to their state.
    var resources: [DesiredResource] {
        guard case .converge(let items) = self else { return [] }
        return items.map(\.desired)
    }
}

extension Resource {
    /// Whether it is something to keep whole: what is to be absent, and what only a command knows, is not.
    var isKept: Bool {
        switch self {
        case .package(let spec): spec.state == .present
        case .file(let spec): spec.state == .present
        case .directory(let spec): spec.state == .present
        case .symlink(let spec): spec.state == .present
        case .group(let spec): spec.state == .present
        case .user(let spec): spec.state == .present
        case .timer(let spec): spec.state == .present
        case .aptRepository(let spec): spec.state == .present
        case .command: false
        case .unit, .sysctl, .firewall, .certificate, .postgresRole, .postgresDatabase, .postgresExtension,
            .postgresSetting, .release, .app, .probe:
            true
        }
    }
}
