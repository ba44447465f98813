import BasculeModel
import Glibc
import Synchronization

/// One thread with epoll that runs both the jobs of the actors pinned to it and their input and output.
///
/// Everything below "on the thread" may be touched only from there. Actors on this executor are there by definition.
final class SSHLoop: SerialExecutor, @unchecked Sendable {
    private enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
    }
    private struct Shared {
        var work: [Work] = []
        var asleep = false
        var stopping = false
    }
    private let shared = Mutex(Shared())
    private let wakeRead: Int32
    private let wakeWrite: Int32

    // On the thread.
    private let poll: EPoll
    private var timers = Timers()
    private var sources: [UInt64: Source] = [:]
    private var lastKey: UInt64 = 0
    private var thread: pthread_t?
    /// Login slots, shared by the sessions of this loop.
    let logins = LoginSlots()
    /// Where channel reads land before they are copied out.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    init() throws(BasculeError) {
        poll = try EPoll()
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw BasculeError(.inputOutput, "cannot create a pipe", cause: errorText(errno))
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        _ = poll.add(wakeRead, key: 0, .readable)
        var thread = pthread_t()
        let me = Unmanaged.passRetained(self)
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<SSHLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, me.toOpaque())
        guard status == 0 else {
            me.release()
            throw BasculeError(.inputOutput, "cannot start the SSH thread", cause: errorText(status))
        }
        pthread_detach(thread)
    }

    deinit {
        scratch.deallocate()
        close(wakeRead)
        close(wakeWrite)
    }

    func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Runs `call` on the thread, after what is queued already.
    func submit(_ call: @escaping @Sendable () -> Void) { add(.call(call)) }

    /// Ends the thread once nothing is queued. Only the owner calls it, when no session is left.
    func stop() {
        let wakes = shared.withLock { state in
            state.stopping = true
            defer { state.asleep = false }
            return state.asleep
        }
        if wakes { wake() }
    }

    private func add(_ work: Work) {
        let wakes = shared.withLock { state in
            state.work.append(work)
            defer { state.asleep = false }
            return state.asleep
        }
        if wakes { wake() }
    }

    private func wake() {
        var byte: UInt8 = 0
        _ = write(wakeWrite, &byte, 1)
    }

    // MARK: on the thread

    /// Catches, in debug builds, whoever touches the loop's state from elsewhere.
    func assertOnThread() {
        assert(thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false, "off the SSH thread")
    }

    private func run() {
        thread = pthread_self()
        while true {
            let batch = shared.withLock { state in
                defer { state.work = [] }
                return state.work
            }
            for item in batch {
                switch item {
                case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
                case .call(let call): call()
                }
            }
            let now = ContinuousClock.now
            while let action = timers.popDue(now) { action() }
            guard let patience = patience() else { return }
            poll.wait(milliseconds: patience) { key, events in
                if key == 0 { drainWake() } else { sources[key]?.handle(events) }
            }
            shared.withLock { $0.asleep = false }
        }
    }

    /// How many milliseconds epoll may sleep; nil when the thread is to end.
    private func patience() -> Int32? {
        let deadline = timers.next()
        return shared.withLock { state in
            if !state.work.isEmpty { return 0 }
            if state.stopping { return nil }
            state.asleep = true
            guard let deadline else { return -1 }
            let (seconds, atto) = (deadline - .now).components
            if seconds < 0 || atto < 0 { return 0 }
            return Int32(min(seconds, 3600)) * 1000 + Int32(atto / 1_000_000_000_000_000) + 1
        }
    }

    private func drainWake() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            while read(wakeRead, buffer.baseAddress, 64) == 64 {}
        }
    }

    func after(_ deadline: ContinuousClock.Instant, _ action: @escaping () -> Void) -> UInt64 {
        assertOnThread()
        return timers.schedule(at: deadline, action)
    }

    func cancelTimer(_ id: UInt64) { timers.cancel(id) }

    func register(_ source: Source) {
        assertOnThread()
        lastKey += 1
        source.key = lastKey
        sources[lastKey] = source
        source.watched = poll.add(source.descriptor, key: lastKey, .oneShot)
    }

    func unregister(_ source: Source) {
        guard sources.removeValue(forKey: source.key) != nil else { return }
        poll.remove(source.descriptor)
    }

    func arm(_ source: Source, _ interest: EPoll.Events) {
        assertOnThread()
        _ = poll.modify(source.descriptor, key: source.key, [interest, .oneShot])
    }
}
