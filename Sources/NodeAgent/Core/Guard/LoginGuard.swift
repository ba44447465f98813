import BasculeExecution
import BasculeModel
import BasculeResources
import Glibc
import Synchronization

/// The dead man's switch: remembers on disk what stood before a change that could lock the administrator out, and puts
/// it back unless a fresh login confirms the change in time. It outlives the agent and the machine's power.
package final class LoginGuard: Sendable {
    /// Where a guarded change is.
    enum State: String, Codable {
        /// Being made. Until it stands, its segment goes on with it after a crash.
        case applying
        case waiting, confirmed, reverting, reverted
    }

    /// One guarded change, with all that is needed to put it back.
    struct Record: Codable {
        var segment: SegmentID
        var step: StepID
        var state: State
        /// The kernel's id of the boot in which it was made: a reboot ends the wait.
        var boot: String
        /// Seconds since boot: when it came into force, and when it goes back.
        var inForce: Double
        var deadline: Double
        /// In the order in which they were changed.
        var captures: [Capture] = []
        /// What was on record of each unit's last start.
        var unitRecords: [ResourceID: [UInt8]] = [:]
        /// Why it went back, for people.
        var reason: String?

        var isOpen: Bool { [.applying, .waiting, .reverting].contains(state) }
        func belongs(to segment: SegmentID, _ step: StepID) -> Bool { self.segment == segment && self.step == step }
    }

    /// How long making a change may take before it counts as given up, in seconds.
    private static let patience = 300.0
    /// How many ended records are kept.
    private static let kept = 20

    private let path: String
    private let records: Mutex<[Record]>
    /// Held while something is put back: that is never done twice at once.
    private let reverting = Mutex(())
    private let began: @Sendable (pid_t) -> Double?
    private let boot: String
    /// Told what was put back, and why.
    private let told: @Sendable (String) -> Void

    /// - Parameter began: when the SSH connection of a process began, in seconds since boot.
    init(
        path: String, boot: String = bootID(), began: @escaping @Sendable (pid_t) -> Double? = FreshLogin.began,
        told: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        (self.path, self.boot, self.began, self.told) = (path, boot, began, told)
        records = Mutex(try DurableFile.load([Record].self, from: path) ?? [])
    }

    private func change<T>(_ body: (inout [Record]) throws -> T) throws -> T {
        try records.withLock { current in
            var copy = current
            let result = try body(&copy)
            let ended = copy.indices.filter { !copy[$0].isOpen }.dropLast(Self.kept)
            for index in ended.reversed() { copy.remove(at: index) }
            try DurableFile.save(copy, to: path)
            current = copy
            return result
        }
    }

    func record(_ segment: SegmentID, _ step: StepID) -> Record? {
        records.withLock { $0.last { $0.belongs(to: segment, step) } }
    }

    /// Whether a change waits to be confirmed, or to be put back.
    var isPending: Bool { records.withLock { $0.contains(where: \.isOpen) } }

    /// Whether another step's change is under way: two at once could not be told apart by one login.
    func isBusy(besides segment: SegmentID, _ step: StepID) -> Bool {
        records.withLock { $0.contains { $0.isOpen && !$0.belongs(to: segment, step) } }
    }

    // MARK: - Making a change

    /// Notes what stands before one resource of a step changes. Returns when that is on disk.
    func arm(_ capture: Capture, unitRecord: [UInt8]?, for step: StepID, of segment: SegmentID) throws {
        try change { records in
            let now = WallClock.sinceBoot()
            let index: Int
            if let known = records.lastIndex(where: { $0.belongs(to: segment, step) && $0.state == .applying }) {
                index = known
            } else {
                records.append(
                    Record(
                        segment: segment, step: step, state: .applying, boot: boot, inForce: now,
                        deadline: now + Self.patience))
                index = records.count - 1
            }
            guard !records[index].captures.contains(where: { $0.id == capture.id }) else { return }
            records[index].captures.append(capture)
            records[index].unitRecords[capture.id] = unitRecord
        }
        Failpoint.hit("agent.guard.armed")
    }

    /// The change is in force: from now on it waits. Gives the seconds that are left; an earlier life's wait goes on.
    func wait(_ segment: SegmentID, _ step: StepID, seconds: Double) throws -> Double {
        let deadline = try change { records -> Double in
            guard let index = records.lastIndex(where: { $0.belongs(to: segment, step) }) else { return 0 }
            if records[index].state == .applying {
                records[index].state = .waiting
                records[index].inForce = WallClock.sinceBoot()
                records[index].deadline = records[index].inForce + seconds
            }
            return records[index].deadline
        }
        Failpoint.hit("agent.guard.waiting")
        return deadline - WallClock.sinceBoot()
    }

    // MARK: - Confirming

    /// Keeps a change. Throws where it is not awaited, and where the asking connection is older than the change.
    func confirm(_ segment: SegmentID, _ step: StepID, peer: pid_t?) throws {
        let login = peer.flatMap(began)
        try change { records in
            guard let index = records.lastIndex(where: { $0.belongs(to: segment, step) }) else {
                throw BasculeError(.nothingToConfirm, "no change of \(step) waits for a confirmation")
            }
            let record = records[index]
            if record.state == .confirmed { return }
            guard record.state == .waiting, WallClock.sinceBoot() < record.deadline else {
                throw BasculeError(
                    .nothingToConfirm,
                    record.state == .applying
                        ? "the change of \(step) is not in force yet" : "the confirmation of \(step) came too late",
                    hint: "the node puts back what was there")
            }
            guard let login, login >= record.inForce else {
                throw BasculeError(
                    .loginNotFresh, "only a login that was made after the change proves it",
                    hint: "open a new SSH connection, then confirm over it")
            }
            records[index].state = .confirmed
        }
        Failpoint.hit("agent.guard.confirmed")
    }

    // MARK: - Going back

    /// Called when the agent starts, before it listens: a change that nobody confirmed before its deadline, or before
    /// the machine went down, goes back first of all.
    func recover(_ context: NodeContext) {
        for record in records.withLock({ $0.filter(\.isOpen) }) where record.boot != boot {
            try? revert(
                record.segment, record.step, because: "the machine was restarted before a login confirmed it", context)
        }
        revertOverdue(context)
    }

    /// Puts back what is past its deadline, and what an earlier try could not put back.
    func revertOverdue(_ context: NodeContext) {
        let now = WallClock.sinceBoot()
        for record in records.withLock({ $0 }) where record.isOpen {
            guard record.state == .reverting || record.deadline <= now || record.boot != boot else { continue }
            do {
                try revert(record.segment, record.step, because: "no fresh login confirmed it in time", context)
            } catch { context.progress("what \(record.step) changed could not be put back: \(error)") }
        }
    }

    /// Puts back what a step changed, newest first. Throws where something could not be put back; it is tried again.
    func revert(_ segment: SegmentID, _ step: StepID, because reason: String, _ context: NodeContext) throws {
        try reverting.withLock { _ in
            let record = try change { records -> Record? in
                guard let index = records.lastIndex(where: { $0.belongs(to: segment, step) }), records[index].isOpen
                else { return nil }
                records[index].state = .reverting
                records[index].reason = records[index].reason ?? reason
                return records[index]
            }
            guard let record else { return }
            context.progress("putting back what \(step) changed: \(record.reason ?? reason)")
            Failpoint.hit("agent.guard.reverting")
            let resources = record.captures.map(\.resource)
            var failure = attempt { try ResourceKeeper.restore(record.captures.reversed(), context) }
            for capture in record.captures {
                let known = record.unitRecords[capture.id]
                failure = attempt { try LoginServices.bringBack(capture.resource, record: known, context) } ?? failure
            }
            failure = attempt { try LoginServices.bringIntoForce(resources, context) } ?? failure
            if let failure { throw failure }
            try change { records in
                guard let index = records.lastIndex(where: { $0.belongs(to: segment, step) }) else { return }
                records[index].state = .reverted
            }
            told("\(step): \(record.reason ?? reason); what was there was put back")
            Failpoint.hit("agent.guard.reverted")
        }
    }

    private func attempt(_ body: () throws -> Void) -> (any Error)? {
        do {
            try body()
            return nil
        } catch { return error }
    }
}

extension ErrorCode {
    /// A change could have locked the administrator out, no fresh login confirmed it, and the node put back what was
    /// there.
    package static let revertedUnconfirmed: ErrorCode = "reverted-unconfirmed"
    /// A confirmation came for nothing that waits, or too late.
    package static let nothingToConfirm: ErrorCode = "nothing-to-confirm"
    /// A confirmation came over a connection that is older than what it would confirm.
    package static let loginNotFresh: ErrorCode = "login-not-fresh"
}
