import Dispatch

/// Runs what blocks (processes, sockets, files) away from the threads of Swift's concurrency, which are few.
package enum Blocking {
    private static let queue = DispatchQueue(label: "bascule.blocking", attributes: .concurrent)

    /// The result of `body`, run on a thread of its own.
    package static func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: body)) }
        }
    }
}
