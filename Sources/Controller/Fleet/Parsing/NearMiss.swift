/// Finds what somebody probably meant.
enum NearMiss {
    /// The candidate closest to a word, if it is close enough to be a slip.
    static func suggestion(for word: String, among candidates: some Sequence<String>) -> String? {
        guard word.count <= 64 else { return nil }
        let plain = normalised(word)
        let scored = candidates.map { ($0, distance(plain, normalised($0))) }
        let best = scored.min { ($0.1, $0.0) < ($1.1, $1.0) }
        guard let best, best.1 <= max(1, min(word.count, best.0.count) / 3) else { return nil }
        return best.0
    }

    /// Case and word separators are the commonest slips: `pool_mode`, `Pool-Mode`.
    private static func normalised(_ word: String) -> [Character] {
        word.lowercased().filter { $0 != "_" && $0 != "-" }
    }

    /// Insertions, deletions, replacements and swaps of neighbours between two words.
    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var before: [Int] = []
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                var best = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + cost)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    best = min(best, before[column - 2] + 1)
                }
                current.append(best)
            }
            (before, previous) = (previous, current)
        }
        return previous[right.count]
    }
}
