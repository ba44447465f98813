import BasculeModel
import Synchronization

/// What healing leaves alone because somebody asked; survives a restart.
final class Holds: Sendable {
    private let path: String
    private let all: Mutex<[Hold]>

    init(path: String) throws {
        self.path = path
        all = Mutex(try DurableFile.load([Hold].self, from: path) ?? [])
    }

    /// Holds that have not run out, oldest first.
    func active(at now: Double) -> [Hold] { all.withLock { $0.filter { ($0.until ?? .infinity) > now } } }

    /// Adds a hold, in the place of an earlier one of the same resource.
    func add(_ hold: Hold) throws {
        try all.withLock { known in
            let next = known.filter { $0.resource != hold.resource && ($0.until ?? .infinity) > hold.since } + [hold]
            try DurableFile.save(next, to: path)
            known = next
        }
    }

    /// Ends the hold of one resource, or all; gives those that ended.
    func remove(_ resource: ResourceID?) throws -> [Hold] {
        try all.withLock { known in
            let ended = known.filter { resource == nil || $0.resource == resource }
            guard !ended.isEmpty else { return [] }
            let rest = known.filter { !ended.contains($0) }
            try DurableFile.save(rest, to: path)
            known = rest
            return ended
        }
    }

    /// Forgets the holds that ran out, and gives them.
    func expire(at now: Double) -> [Hold] {
        all.withLock { known in
            let over = known.filter { ($0.until ?? .infinity) <= now }
            guard !over.isEmpty else { return [] }
            known.removeAll { over.contains($0) }
            // Should this fail, they are found expired again after a restart.
            try? DurableFile.save(known, to: path)
            return over
        }
    }
}
