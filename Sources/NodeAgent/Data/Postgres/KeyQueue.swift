/// Hands out the foreign keys that can be made and checked while other tables are still being built.
///
/// A check locks its table against builds and against other checks (SHARE UPDATE EXCLUSIVE), and making a key locks both
/// of its tables for a moment (SHARE ROW EXCLUSIVE): a key waits until both are built and neither is being checked. So
/// no thread waits for the lock of another for long, and none for one that waits for it.
final class KeyQueue: @unchecked Sendable {
    private let lock = MoveLock()
    private var waiting: [BuildPlan.ForeignKey]
    /// Tables whose indexes and constraints are not there yet.
    private var open: Set<Int64>
    /// Tables that are being checked.
    private var busy: Set<Int64> = []
    /// What has to wait for all tables: a statement about a partition or a child locks its parent's other tables, too.
    let late: [BuildPlan.ForeignKey]

    init(_ plan: BuildPlan, tables: [PGTable]) {
        var parents: Set<String> = []
        for table in tables { parents.formUnion(table.parents) }
        var plain: Set<Int64> = []
        open = []
        for table in tables {
            open.insert(table.oid)
            if table.kind == "r", table.parents.isEmpty, !parents.contains(table.quoted) { plain.insert(table.oid) }
        }
        var (early, late): ([BuildPlan.ForeignKey], [BuildPlan.ForeignKey]) = ([], [])
        for key in plan.keys {
            if plain.contains(key.table), plain.contains(key.references) { early.append(key) } else { late.append(key) }
        }
        waiting = early
        self.late = late
    }

    /// A table is built. Gives the keys that can now be made, each of them once.
    func closed(_ oid: Int64) -> [BuildPlan.ForeignKey] {
        lock.held {
            open.remove(oid)
            return ready()
        }
    }

    /// A key is made and checked. Gives those that waited for that.
    func done(_ key: BuildPlan.ForeignKey) -> [BuildPlan.ForeignKey] {
        lock.held {
            busy.remove(key.table)
            return ready()
        }
    }

    private func ready() -> [BuildPlan.ForeignKey] {
        var free: [BuildPlan.ForeignKey] = []
        waiting.removeAll { key in
            let isBuilt = !open.contains(key.table) && !open.contains(key.references)
            guard isBuilt, !busy.contains(key.table), !busy.contains(key.references) else { return false }
            busy.insert(key.table)
            free.append(key)
            return true
        }
        return free
    }
}
