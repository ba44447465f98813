import BasculeModel
import Foundation

/// A plan for people: phases, steps, differences, prices.
struct PlanView {
    let plan: Plan
    /// Show every difference whole.
    var full = true

    func render() -> [String] {
        guard !plan.steps.isEmpty else {
            return [
                "Nothing to do: \(plan.satisfied.count) resources are as declared.\(plan.unreachable.isEmpty ? "" : " \(plan.unreachable.count) cannot be reached here.")"
            ]
                + unreachable
        }
        var out = ["Plan \(plan.id) for \(plan.fleet), topology \(plan.topology)", ""]
        for phase in plan.phases {
            let steps = plan.steps.filter { $0.phase == phase }
            let estimate = steps.reduce(0) { $0 + $1.estimate }
            let mark = phase.isConducted ? Terminal.paint("│ ", .yellow) : "  "
            out.append(
                Terminal.paint("\(phase.rawValue)", .bold)
                    + Terminal.paint("  \(phase.purpose), about \(estimate.durationText)", .dim))
            for step in steps { out += lines(step).map { mark + $0 } }
        }
        return out + unreachable + [""] + summary
    }

    private func lines(_ step: Step) -> [String] {
        var out: [String] = []
        let who = step.node.map { "\($0)" } ?? "here"
        out.append(
            "\(symbol(step)) \(Terminal.escape(step.title))  \(Terminal.paint("on \(who)\(certainty(step))\(price(step))\(confirmation(step))", .dim))"
        )
        guard case .converge(let items) = step.action, full else { return out }
        for item in items {
            for difference in item.change?.differences ?? [] {
                if item.desired.resource.kind == .package, items.count > 1 { continue }
                let before = difference.before.map { "\(Terminal.escape($0)) → " } ?? ""
                out.append(
                    "    \(Terminal.paint(difference.attribute, .dim)) \(before)\(Terminal.escape(difference.after ?? "absent"))"
                )
                if let diff = difference.diff, difference.before != nil {
                    out += diff.split(separator: "\n").prefix(40).map { line in
                        let text = "      \(Terminal.escape(String(line)))"
                        return line.hasPrefix("+")
                            ? Terminal.paint(text, .green)
                            : line.hasPrefix("-") ? Terminal.paint(text, .red) : Terminal.paint(text, .dim)
                    }
                }
            }
        }
        return out
    }

    private func symbol(_ step: Step) -> String {
        guard case .converge(let items) = step.action, let action = items.first?.change?.action else {
            return Terminal.paint("•", .blue)
        }
        switch action {
        case .create: return Terminal.paint("+", .green)
        case .delete, .stop: return Terminal.paint("-", .red)
        case .update, .start, .restart, .reload: return Terminal.paint("~", .yellow)
        case .run: return Terminal.paint("!", .yellow)
        case .verify: return Terminal.paint("✓", .blue)
        }
    }

    private func certainty(_ step: Step) -> String {
        switch step.certainty {
        case .exact: ""
        case .conditional(let reason): ", conditional: \(Terminal.escape(reason))"
        case .opaque: ", opaque"
        }
    }

    private func confirmation(_ step: Step) -> String {
        step.confirmWithin.map { ", goes back by itself unless a fresh login confirms it within \($0.durationText)" }
            ?? ""
    }

    private func price(_ step: Step) -> String {
        switch step.reversal {
        case .reversible(let seconds): seconds < 0.05 ? "" : ", undo \(seconds.durationText)"
        case .reversibleUntil(let event): ", undo until \(event)"
        case .pointOfNoReturn(let reason): ", NO WAY BACK: \(reason)"
        }
    }

    private var unreachable: [String] {
        plan.unreachable.sorted { $0.key < $1.key }.map {
            "\(Terminal.paint("?", .yellow)) \($0.key): \(Terminal.escape($0.value))"
        }
    }

    private var summary: [String] {
        let exact = plan.steps.count { $0.certainty == .exact }
        let opaque = plan.steps.count { $0.certainty == .opaque }
        var out = [
            "\(plan.steps.count) steps (\(exact) exact, \(plan.steps.count - exact - opaque) conditional, \(opaque) opaque), \(plan.satisfied.count) resources already as declared",
            "about \(plan.estimate.durationText); undoing all reversible steps about \(plan.rollbackPrice.durationText)",
        ]
        if let migration = plan.migration {
            out.append(
                "the migration is conducted by \(migration.conductor) from freeze to watch: write outage about \(migration.outageExpected.durationText), rollback before T0 about \(migration.rollbackExpected.durationText) (budget \(migration.rollbackBudget.durationText))"
            )
            out.append("after T0, new writes \(migration.newWrites)")
            out.append("a way back after T0 is open until finish; bascule apply --through watch stops before it")
        }
        return out
    }
}
