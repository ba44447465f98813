/// A descriptor that the loop watches. Touched only on the loop's thread.
///
/// Interest is one-shot: nothing is reported, and nothing spins, unless somebody waits.
final class Source: @unchecked Sendable {
    let descriptor: Int32
    let loop: SSHLoop
    /// Whoever waits for the descriptor. Every event wakes all of them: libssh2 shares one input among all channels.
    let waiters: WaitList
    /// Called at every event: hands on what waits to be sent, and asks for another event while some is left.
    var flush: () -> Void = {}
    var key: UInt64 = 0
    var watched = false

    init(descriptor: Int32, loop: SSHLoop) {
        self.descriptor = descriptor
        self.loop = loop
        waiters = WaitList(loop: loop)
        loop.register(self)
    }

    func handle(_ events: EPoll.Events) {
        flush()
        waiters.wakeAll()
    }

    /// Suspends the calling actor until the descriptor is ready in one of the given ways, or `deadline`.
    func wait(_ interest: EPoll.Events, until deadline: ContinuousClock.Instant?, on actor: isolated any Actor)
        async throws
    {
        loop.arm(self, interest)
        try await waiters.wait(until: deadline, on: actor)
    }

    func close() {
        loop.unregister(self)
        waiters.wakeAll()
    }
}
