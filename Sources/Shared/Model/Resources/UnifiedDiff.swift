/// A line diff in the unified format, without file headers, three lines of context.
package enum UnifiedDiff {
    /// nil where both texts are equal. Texts of more than 2,000 lines are shown as replaced whole.
    package static func make(from old: String, to new: String, context: Int = 3) -> String? {
        guard old != new else { return nil }
        let before = lines(old)
        let after = lines(new)
        let edits =
            before.count * after.count > 4_000_000
            ? before.map { Edit.remove($0) } + after.map { Edit.add($0) }
            : script(before, after)
        return render(edits, context: context)
    }

    private enum Edit {
        case keep(Substring), remove(Substring), add(Substring)
        var isKept: Bool { if case .keep = self { true } else { false } }
    }

    private static func lines(_ text: String) -> [Substring] {
        var all = text.split(separator: "\n", omittingEmptySubsequences: false)
        if all.last?.isEmpty == true { all.removeLast() }
        return all
    }

    /// The shortest edit script by the longest common subsequence.
    private static func script(_ old: [Substring], _ new: [Substring]) -> [Edit] {
        let width = new.count + 1
        var lengths = [Int32](repeating: 0, count: (old.count + 1) * width)
        for row in stride(from: old.count - 1, through: 0, by: -1) {
            for column in stride(from: new.count - 1, through: 0, by: -1) {
                lengths[row * width + column] =
                    old[row] == new[column]
                    ? lengths[(row + 1) * width + column + 1] + 1
                    : max(lengths[(row + 1) * width + column], lengths[row * width + column + 1])
            }
        }
        var edits: [Edit] = []
        var (row, column) = (0, 0)
        while row < old.count || column < new.count {
            if row < old.count, column < new.count, old[row] == new[column] {
                edits.append(.keep(old[row]))
                (row, column) = (row + 1, column + 1)
            } else if column == new.count
                || (row < old.count && lengths[(row + 1) * width + column] >= lengths[row * width + column + 1])
            {
                edits.append(.remove(old[row]))
                row += 1
            } else {
                edits.append(.add(new[column]))
                column += 1
            }
        }
        return edits
    }

    private static func render(_ edits: [Edit], context: Int) -> String {
        var out: [String] = []
        var index = 0
        var (oldLine, newLine) = (1, 1)
        while let change = edits[index...].firstIndex(where: { !$0.isKept }) {
            let start = max(index, change - context)
            oldLine += start - index
            newLine += start - index
            var end = change
            while let next = edits[end...].firstIndex(where: { !$0.isKept }), next - end <= 2 * context {
                end = next + 1
            }
            end = min(edits.count, end + context)
            let hunk = edits[start..<end]
            let removed = hunk.count(where: { if case .add = $0 { false } else { true } })
            let added = hunk.count(where: { if case .remove = $0 { false } else { true } })
            out.append(
                "@@ -\(removed == 0 ? oldLine - 1 : oldLine),\(removed) +\(added == 0 ? newLine - 1 : newLine),\(added) @@"
            )
            for edit in hunk {
                switch edit {
                case .keep(let line): out.append(" \(line)")
                case .remove(let line): out.append("-\(line)")
                case .add(let line): out.append("+\(line)")
                }
            }
            oldLine += removed
            newLine += added
            index = end
            if index >= edits.count { break }
        }
        return out.joined(separator: "\n")
    }
}
