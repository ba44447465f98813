import BasculeModel
import Testing

@testable import BasculeCommands
@testable import BasculeConducting

@Suite struct TerminalTests {
    @Test func textStaysAndControlIsShown() {
        #expect(Terminal.escape("é 漢字 ✓\ta") == "é 漢字 ✓\ta")
        #expect(Terminal.escape("👩‍👩‍👧 e\u{301}") == "👩‍👩‍👧 e\u{301}")
        for control in [
            "\u{1B}[2J", "\r", "\n", "\u{0}", "\u{7}", "\u{8}", "\u{7F}", "\u{9B}31m", "\u{202E}", "\u{2066}",
        ] {
            let shown = Terminal.escape("a\(control)b")
            #expect(
                shown.hasPrefix("a\u{FFFD}") && shown.hasSuffix("b"),
                "\(control.unicodeScalars.map { String($0.value, radix: 16) })")
        }
    }
}

@Suite struct PlanViewTests {
    private func step(
        _ id: StepID, _ action: ChangeAction, _ certainty: Certainty = .exact,
        _ reversal: Reversal = .reversible(seconds: 1), phase: Phase = .install
    ) -> Step {
        let desired = DesiredResource(.file(FileSpec("/\(id)", "x")), on: "vps1", origin: "test")
        let change = Change(action, [Difference("content", before: "old", after: "new", diff: "-a\u{1B}[2J\n+b")])
        return Step(
            id: id, phase: phase, node: "vps1", title: "title of \(id)",
            action: .converge([ConvergeItem(desired: desired, before: nil, change: change)]),
            certainty: certainty, reversal: reversal, estimate: 2)
    }

    private func plan(_ steps: [Step]) -> Plan {
        Plan(
            id: "p", fleet: "shop", topology: "single", revision: "ab", created: 1, steps: steps,
            satisfied: ["vps1/file:/ok": "same"],
            unreachable: ["vps1/sysctl:x": "refused here"])
    }

    @Test func nothingToDoSaysSo() {
        #expect(
            PlanView(plan: plan([])).render().first
                == "Nothing to do: 1 resources are as declared. 1 cannot be reached here.")
        #expect(PlanView(plan: plan([])).render().last?.contains("vps1/sysctl:x: refused here") == true)
    }

    @Test func everyStepTellsItsDifferenceItsCertaintyAndItsPrice() {
        let steps = [
            step("a", .create), step("b", .update, .conditional(reason: "after a")),
            step("c", .run, .opaque, .pointOfNoReturn(reason: "no inverse")),
            step("d", .delete, .exact, .reversibleUntil(event: "T0"), phase: .freeze),
        ]
        let text = PlanView(plan: plan(steps)).render().joined(separator: "\n")
        for part in [
            "+ title of a", "~ title of b", "! title of c", "- title of d", "conditional: after a", "opaque",
            "NO WAY BACK: no inverse", "undo until T0", "undo 1.00 s",
            "content old → new", "+b", "4 steps (2 exact, 1 conditional, 1 opaque), 1 resources already as declared",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(!text.contains("\u{1B}[2J"))
        #expect(!PlanView(plan: plan(steps), full: false).render().joined().contains("content old"))
    }

    @Test func thePredictionScoreCountsStepsThatDidWhatWasSaid() {
        let steps = [
            step("a", .create), step("b", .update), step("c", .update), step("d", .update, .conditional(reason: "x")),
            step("e", .update),
        ]
        let said = Change(.update, [Difference("content", before: nil, after: nil)])
        let other = Change(.update, [Difference("mode", before: nil, after: nil)])
        func score(_ results: [StepID: StepResult]) -> Double? {
            RunReport(run: "r", plan: "p", outcome: .converged, results: results, seconds: 1, reason: nil)
                .predictionScore(of: plan(steps))
        }
        func done(_ id: StepID, _ change: Change) -> StepResult {
            StepResult(.done, changes: [ResourceID("vps1/file:/\(id)"): change])
        }
        #expect(score([:]) == nil)
        #expect(score(["d": done("d", said)]) == nil)
        #expect(score(["a": done("a", said), "b": done("b", said)]) == 1)
        #expect(
            score(["a": done("a", said), "b": done("b", other), "c": StepResult(.satisfied), "e": StepResult(.failed)])
                == 0.25)
    }
}
