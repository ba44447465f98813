/// What running steps say, kept until they have ended: whole for the one that fails, as far as memory allows, and
/// forgotten for all others.
struct StepLog {
    /// Bytes of one step, and of all together; the newest lines win.
    static let stepLimit = 1 << 20
    static let limit = 16 << 20

    private struct Lines {
        var all: [String] = []
        var first = 0
        var bytes = 0
        var dropped = 0

        mutating func dropFirst() -> Int {
            guard first < all.count else { return 0 }
            let size = all[first].utf8.count
            all[first] = ""
            (first, bytes, dropped) = (first + 1, bytes - size, dropped + 1)
            if first > 1024, first * 2 > all.count {
                all.removeFirst(first)
                first = 0
            }
            return size
        }
    }

    private var steps: [String: Lines] = [:]
    private var bytes = 0

    mutating func add(_ line: String, to step: String) {
        let line = String(line.prefix(4000))
        steps[step, default: Lines()].all.append(line)
        steps[step]?.bytes += line.utf8.count
        bytes += line.utf8.count
        while let used = steps[step]?.bytes, used > StepLog.stepLimit || bytes > StepLog.limit {
            let freed = steps[step]?.dropFirst() ?? 0
            bytes -= freed
            if freed == 0, steps[step]?.bytes == 0 { break }
        }
    }

    /// The lines of a step that has ended, in order; the first says how many are missing, if any are.
    mutating func take(_ step: String) -> [String] {
        guard let lines = steps.removeValue(forKey: step) else { return [] }
        bytes -= lines.bytes
        let missing = lines.dropped > 0 ? ["(\(lines.dropped) earlier lines are left out)"] : []
        return missing + lines.all[lines.first...]
    }
}
