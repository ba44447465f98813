import Synchronization

/// A counter that many threads may use.
package final class Counter: Sendable {
    private let value = Mutex(0)
    package init() {}
    /// Adds one and gives the new value.
    package func next() -> Int {
        value.withLock {
            $0 += 1
            return $0
        }
    }
}
