import Glibc

/// A thread that runs one piece of work; `join` must be called once.
package struct Worker: Sendable {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let thread: pthread_t?

    /// Runs the work on the caller's thread if no other can be had.
    package init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let code = pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        if code != 0 { work.takeRetainedValue().body() }
        self.thread = code == 0 ? thread : nil
    }

    /// Waits for the end of the work.
    package func join() { if let thread { pthread_join(thread, nil) } }
}
