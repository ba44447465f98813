import BasculeModel
import BasculePostgres
import Glibc

/// Threads that work through jobs which may add more jobs. Threads, because every call of libpq blocks.
final class JobPool<Job: Sendable>: @unchecked Sendable {
    // All state below is touched only while `mutex` is held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [(priority: Int64, job: Job)] = []
    private var running = 0
    private var threads = 0
    private var failure: (any Error)?
    private var cancellers: [Int: [PGCanceller]] = [:]
    private let isCancelled: @Sendable () -> Bool

    init(_ jobs: [(priority: Int64, job: Job)], isCancelled: @escaping @Sendable () -> Bool) {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
        waiting = jobs
        self.isCancelled = isCancelled
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Adds a job; higher priorities go first.
    func add(_ job: Job, priority: Int64) {
        locked {
            waiting.append((priority, job))
            pthread_cond_broadcast(changed)
        }
    }

    /// True when the work should stop: cancelled, or another job failed.
    var shouldStop: Bool { locked { failure != nil } || isCancelled() }

    /// How many threads have nothing to do, and nothing waiting for them: cores that a job may have besides its own.
    var spare: Int { locked { max(0, threads - running - waiting.count) } }

    /// Registers what stops the statements of one thread.
    func register(_ thread: Int, _ cancellers: [PGCanceller]) { locked { self.cancellers[thread] = cancellers } }

    /// Runs all jobs on up to `count` threads and returns when none is left. The first failure stops the others and is
    /// thrown. `work` makes one thread's state, given its number, and returns what does a job.
    func run(threads count: Int, _ work: @escaping @Sendable (Int) throws -> (Job) throws -> Void) throws {
        threads = max(1, count)
        for number in 0..<threads {
            let body = ThreadBody { [self] in
                do { try self.loop(try work(number)) } catch { self.fail(error) }
                self.locked {
                    self.threads -= 1
                    self.cancellers[number] = nil
                    pthread_cond_broadcast(self.changed)
                }
            }
            var thread = pthread_t()
            let opaque = Unmanaged.passRetained(body).toOpaque()
            let code = pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body() }
                    return nil
                }, opaque)
            guard code == 0 else {
                Unmanaged<ThreadBody>.fromOpaque(opaque).release()
                fail(BasculeError(.defect, "No thread could be started", cause: String(cString: strerror(code))))
                locked { threads -= 1 }
                continue
            }
            pthread_detach(thread)
        }
        supervise()
        if let failure { throw failure }
    }

    private func loop(_ perform: (Job) throws -> Void) throws {
        while let job = next() {
            do { try perform(job) } catch { fail(error) }
            locked {
                running -= 1
                pthread_cond_broadcast(changed)
            }
        }
    }

    private func next() -> Job? {
        locked {
            while true {
                if failure != nil { return nil }
                if let best = waiting.indices.max(by: { waiting[$0].priority < waiting[$1].priority }) {
                    running += 1
                    return waiting.remove(at: best).job
                }
                if running == 0 { return nil }
                pthread_cond_wait(changed, mutex)
            }
        }
    }

    private func fail(_ error: any Error) {
        let toStop = locked {
            if failure == nil { failure = error }
            pthread_cond_broadcast(changed)
            return cancellers.values.flatMap { $0 }
        }
        toStop.forEach { $0.cancel() }
    }

    // The caller's thread looks at the cancellation flag while the others are inside libpq.
    private func supervise() {
        var stopped = false
        while true {
            let left = locked {
                if threads > 0 {
                    var until = timespec()
                    clock_gettime(CLOCK_REALTIME, &until)
                    until.tv_nsec += 200_000_000
                    if until.tv_nsec >= 1_000_000_000 {
                        until.tv_nsec -= 1_000_000_000
                        until.tv_sec += 1
                    }
                    pthread_cond_timedwait(changed, mutex, &until)
                }
                return threads
            }
            if left == 0 { return }
            if !stopped, isCancelled() {
                stopped = true
                fail(BasculeError(.cancelled, "The move was cancelled", hint: "Run it again: what is done stays done."))
            }
        }
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
