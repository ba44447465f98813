import BasculeModel

/// What a run's live lines are made of, and how they look at a size. Pure: time comes as an argument.
struct RunBoard {
    /// One step that runs.
    private struct Running {
        var id: String
        var title: String
        var detail = ""
        var began: Double
        var estimate: Double
    }

    /// One node's part in the run, or the controller's.
    private struct Node {
        var total = 0
        var done = 0
        var failed = 0
        var running: [Running] = []
        /// Said while nothing runs, or in place of what does.
        var trouble: String?
    }

    private var nodes: [String: Node] = [:]
    private let began: Double

    /// - Parameter now: seconds of any clock that only goes forward.
    init(now: Double) { began = now }

    /// How many steps each node has in all.
    mutating func expect(_ plan: Plan) {
        for step in plan.steps { nodes[RunBoard.name(step.node), default: Node()].total += 1 }
    }

    static func name(_ node: NodeName?) -> String { node?.rawValue ?? "here" }

    mutating func started(_ node: NodeName?, _ step: Step, now: Double) {
        let running = Running(
            id: step.id.rawValue, title: Terminal.escape(step.title), began: now, estimate: step.estimate)
        var entry = nodes[RunBoard.name(node)] ?? Node()
        entry.running.removeAll { $0.id == running.id }
        entry.running.append(running)
        entry.trouble = nil
        nodes[RunBoard.name(node)] = entry
    }

    mutating func progress(_ node: NodeName?, _ step: StepID, _ line: String) {
        let name = RunBoard.name(node)
        guard let index = nodes[name]?.running.lastIndex(where: { $0.id == step.rawValue }) else { return }
        nodes[name]?.running[index].detail = Terminal.escape(String(line.prefix(400)))
    }

    mutating func finished(_ node: NodeName?, _ step: StepID, isGood: Bool) {
        let name = RunBoard.name(node)
        var entry = nodes[name] ?? Node()
        entry.running.removeAll { $0.id == step.rawValue }
        entry.done += 1
        entry.failed += isGood ? 0 : 1
        entry.trouble = nil
        entry.total = max(entry.total, entry.done)
        nodes[name] = entry
    }

    mutating func trouble(_ node: NodeName, _ text: String) {
        nodes[node.rawValue, default: Node()].trouble = Terminal.escape(text)
    }

    /// At most `rows - 1` lines, none wider than `columns - 1`: those of the nodes at work first, and a line for the rest.
    func lines(columns: Int, rows: Int, tick: Int, now: Double, paint: (String, Terminal.Color) -> String) -> [String] {
        let width = max(1, columns - 1)
        let busy = nodes.filter { !$0.value.running.isEmpty || $0.value.trouble != nil }
        guard !busy.isEmpty else { return [] }
        let room = max(1, rows - 1)
        // Who has been at it longest is the one that people wonder about.
        let sorted = busy.sorted { left, right in
            let (first, second) = (left.value.running.first?.began ?? 0, right.value.running.first?.began ?? 0)
            return first == second ? left.key < right.key : first < second
        }
        let needsSummary = nodes.count > 1 && rows > 2
        let shown = sorted.prefix(needsSummary ? room - 1 : room)
        let nameWidth = min(width / 3, shown.map { CellWidth.of($0.key) }.max() ?? 0)
        let spinner = String(Array("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[tick % 10])
        let steady = shown.sorted { $0.key < $1.key }
        var out = steady.map { name, node in
            line(name, node, spinner: spinner, nameWidth: nameWidth, width: width, now: now, paint: paint)
        }
        if needsSummary {
            let text = summary(busy.count, hidden: busy.count - shown.count, now)
            out.append(paint(CellWidth.clip(text, to: width), .dim))
        }
        return out
    }

    private func line(
        _ name: String, _ node: Node, spinner: String, nameWidth: Int, width: Int, now: Double,
        paint: (String, Terminal.Color) -> String
    ) -> String {
        let short = CellWidth.clip(name, to: nameWidth)
        let head = "\(spinner) \(short)\(String(repeating: " ", count: max(0, nameWidth - CellWidth.of(short))))"
        let count = node.total > 0 ? "  \(min(node.done + 1, node.total))/\(node.total)" : ""
        if let trouble = node.trouble {
            return paint(CellWidth.clip("\(head)\(count)  \(trouble)", to: width), .yellow)
        }
        guard let step = node.running.last else { return CellWidth.clip(head, to: width) }
        let others = node.running.count > 1 ? " +\(node.running.count - 1)" : ""
        let spent = max(0, now - step.began)
        let estimate = step.estimate >= 1 ? " of about \(step.estimate.durationText)" : ""
        let time = "  \(Int(spent)) s\(estimate)"
        // The time is what tells waiting from hanging: the title gives way to it.
        let fixed = CellWidth.of(head + count) + CellWidth.of(time) + 2
        let title = CellWidth.clip("\(step.title)\(others)", to: max(8, width - fixed))
        let detail = step.detail.isEmpty ? "" : "  \(step.detail)"
        return CellWidth.clip("\(head)\(count)  \(title)\(time)\(detail)", to: width)
    }

    private func summary(_ busy: Int, hidden: Int, _ now: Double) -> String {
        let planned = nodes.values.filter { $0.total > 0 }
        let finished = planned.count { $0.done >= $0.total }
        let failed = nodes.values.count { $0.failed > 0 }
        let (done, total) = planned.reduce(into: (0, 0)) { $0 = ($0.0 + $1.done, $0.1 + $1.total) }
        var parts = ["\(finished) of \(max(planned.count, nodes.count)) nodes done", "\(busy) at work"]
        if hidden > 0 { parts.append("\(hidden) of them not shown") }
        if failed > 0 { parts.append("\(failed) with failures") }
        if total > 0 { parts.append("\(done)/\(total) steps") }
        parts.append("\(Int(max(0, now - began))) s")
        return parts.joined(separator: ", ")
    }
}
