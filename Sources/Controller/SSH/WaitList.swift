import BasculeModel

/// Tasks that wait for the same thing to change. Touched only on the loop's thread.
///
/// Waking is a hint, never a promise: who is woken looks again at what it waited for.
final class WaitList: @unchecked Sendable {
    private struct Waiter {
        let continuation: CheckedContinuation<Void, any Error>
        let timer: UInt64?
    }
    private let loop: SSHLoop
    private var waiters: [(id: UInt64, waiter: Waiter)] = []
    private var lastID: UInt64 = 0

    init(loop: SSHLoop) { self.loop = loop }

    var isEmpty: Bool { waiters.isEmpty }

    func nextID() -> UInt64 {
        lastID += 1
        return lastID
    }

    /// Parks a continuation; at the deadline it is resumed as if woken, and its owner sees the time by itself.
    func park(
        _ id: UInt64, until deadline: ContinuousClock.Instant?, _ continuation: CheckedContinuation<Void, any Error>
    ) {
        let timer = deadline.map { loop.after($0) { [weak self] in self?.wake(id) } }
        waiters.append((id, Waiter(continuation: continuation, timer: timer)))
    }

    func wakeAll() {
        let woken = waiters
        waiters = []
        for entry in woken { resume(entry.waiter) }
    }

    func wakeFirst() {
        if !waiters.isEmpty { resume(waiters.removeFirst().waiter) }
    }

    func wake(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        resume(waiters.remove(at: index).waiter)
    }

    private func resume(_ waiter: Waiter) {
        if let timer = waiter.timer { loop.cancelTimer(timer) }
        waiter.continuation.resume()
    }

    /// Suspends the calling actor, which must live on the same loop, until woken, cancelled or `deadline`.
    func wait(until deadline: ContinuousClock.Instant?, on actor: isolated any Actor) async throws {
        let id = nextID()
        try await withTaskCancellationHandler {
            // A closure runs on the isolated parameter only if it captures it (SE-0420).
            _ = actor
            try await withCheckedThrowingContinuation { continuation in
                _ = actor
                park(id, until: deadline, continuation)
            }
        } onCancel: {
            loop.submit { self.wake(id) }
        }
        if Task.isCancelled { throw CancellationError() }
    }
}

/// A mutex for tasks of one loop, first come first served.
final class TaskGate: @unchecked Sendable {
    private let list: WaitList
    private var busy = false

    init(loop: SSHLoop) { list = WaitList(loop: loop) }

    func enter(until deadline: ContinuousClock.Instant?, on actor: isolated any Actor) async throws {
        do {
            while busy {
                if let deadline, ContinuousClock.now >= deadline {
                    throw SSHFailure.late("an earlier request on the same connection to end")
                }
                try await list.wait(until: deadline, on: actor)
            }
        } catch {
            // The wake-up may have been meant for this very task: pass it on.
            if !busy { list.wakeFirst() }
            throw error
        }
        busy = true
    }

    func leave() {
        busy = false
        list.wakeFirst()
    }
}
