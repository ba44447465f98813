import BasculeModel
import BasculeNet

/// Moves the keys of a Redis database: preflight, copy, sync, verify, and the fence of the source.
package enum RedisMover {
    /// Does one task and reports. Blocks the calling thread until done.
    ///
    /// - Parameters:
    ///   - resolve: gives the value of a secret; called for the source's address and the target's password.
    ///   - progress: called about once a page of keys; counts keys as rows.
    ///   - isCancelled: asked between pages and between the parts of big keys.
    /// - Throws: `redis-move-refused`, `redis-target-not-empty`, `redis-login-refused`, `redis-refused`,
    ///   `redis-type-unsupported`, `redis-target-full`, `redis-fence-failed`, `cancelled`, and what connections throw.
    ///   A verification that finds differences does not throw: it reports them.
    package static func run(
        _ task: RedisTask, resolve: (SecretName) throws -> Secret,
        progress: @escaping (MoveProgress) -> Void = { _ in }, isCancelled: @escaping () -> Bool = { false }
    ) throws -> RedisReport {
        let started = Monotonic.now()
        let session = try RedisSession(task.move, resolve: resolve, isCancelled: isCancelled)
        defer { session.close() }
        var report =
            switch task {
            case .preflight: try RedisPass(session: session, progress: progress).preflight()
            case .copy: try RedisPass(session: session, progress: progress).copy()
            case .sync: try RedisPass(session: session, progress: progress).compare(correct: true)
            case .verify: try RedisPass(session: session, progress: progress).compare(correct: false)
            case .finish: try finish(session)
            case .fenceCapture: try RedisFencing(session: session).capture()
            case .fenceAcquire(_, let fence, let seconds):
                try RedisFencing(session: session).acquire(fence, seconds: seconds)
            case .fenceProve(_, let fence): try RedisFencing(session: session).prove(fence)
            case .fenceRelease(_, let fence): try RedisFencing(session: session).release(fence)
            }
        report.sourceCommands = session.sourceCommands
        report.seconds = Monotonic.milliseconds(since: started) / 1000
        return report
    }

    private static func finish(_ session: RedisSession) throws -> RedisReport {
        try session.retrying {
            let target = try session.target()
            try RedisKeyWriter(server: target, requestBytes: 0, run: "").removeLeftovers()
            try RedisMarker.remove(target)
        }
        return RedisReport()
    }
}
