/// Deadlines in order: a binary heap whose cancelled entries are dropped when they surface, or when they pile up.
struct Timers {
    typealias Instant = ContinuousClock.Instant
    private var heap: [(at: Instant, id: UInt64)] = []
    private var actions: [UInt64: () -> Void] = [:]
    private var lastID: UInt64 = 0

    /// Runs `action` once `at` has passed, unless cancelled by the identifier that comes back.
    mutating func schedule(at: Instant, _ action: @escaping () -> Void) -> UInt64 {
        lastID += 1
        actions[lastID] = action
        heap.append((at, lastID))
        rise(heap.count - 1)
        return lastID
    }

    mutating func cancel(_ id: UInt64) {
        actions[id] = nil
        if heap.count > 2 * actions.count + 64 {
            heap = heap.filter { actions[$0.id] != nil }.sorted { $0.at < $1.at }
        }
    }

    /// The next live deadline.
    mutating func next() -> Instant? {
        while let top = heap.first, actions[top.id] == nil { removeTop() }
        return heap.first?.at
    }

    /// Takes out one action that is due.
    mutating func popDue(_ now: Instant) -> (() -> Void)? {
        guard let at = next(), at <= now, let top = heap.first else { return nil }
        removeTop()
        return actions.removeValue(forKey: top.id)
    }

    private mutating func removeTop() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            if least == index { return }
            heap.swapAt(index, least)
            index = least
        }
    }

    private mutating func rise(_ start: Int) {
        var index = start
        while index > 0, heap[index].at < heap[(index - 1) / 2].at {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }
}
