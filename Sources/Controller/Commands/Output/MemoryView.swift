import BasculeCatalogue
import BasculeModel

/// A node's memory budget for people.
struct MemoryView {
    let budget: MemoryBudget

    var lines: [String] {
        let origin =
            switch budget.origin {
            case .declared: "as the fleet file says"
            case .measured: "as the node says"
            case .assumed: "assumed: the node has not been asked yet"
            }
        let memory = Int64(budget.memory).bytesText
        let limit = budget.limit == 100 ? "" : ", of which \(budget.limit) % may be claimed"
        let names = budget.shares.map { Terminal.escape($0.service) } + ["sum", "left"]
        let width = names.map(\.count).max() ?? 0
        func row(_ name: String, _ bytes: Int, _ why: String) -> String {
            let amount = bytes < 0 ? "-\(Int64(-bytes).bytesText)" : Int64(bytes).bytesText
            let gap = String(repeating: " ", count: max(0, 10 - amount.count))
            return "  \(name)\(String(repeating: " ", count: width - name.count))\(gap)\(amount)  \(why)"
        }
        let shares = zip(names, budget.shares).map { row($0, $1.bytes, Terminal.escape($1.why)) }
        let verdict = budget.fits ? "it fits" : Terminal.paint("it does not fit", .red)
        return ["\(Terminal.paint(budget.node.rawValue, .bold))  \(memory) of memory, \(origin)\(limit)"] + shares
            + [row("sum", budget.sum, ""), row("left", budget.left, verdict)].map { $0.trimmedEnd }
    }
}

extension String {
    /// Without spaces at the end.
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
