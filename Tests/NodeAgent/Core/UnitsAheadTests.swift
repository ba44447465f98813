import BasculeExecution
import BasculeModel
import Testing

@testable import BasculeAgentCore

/// Which units' files are written ahead of their steps.
@Suite struct UnitsAheadTests {
    private static let installed: [StepID: StepResult] = ["packages": StepResult(.done)]

    private func unit(
        _ name: String, requires: [StepID] = ["packages"], before: Digest? = nil, state: UnitSpec.State? = .running
    ) -> Step {
        let desired = DesiredResource(.unit(UnitSpec("\(name).service", state: state)), on: "n", origin: "test")
        return step(StepID(name), [ConvergeItem(desired: desired, before: before, change: nil)], requires)
    }

    private func step(_ id: StepID, _ items: [ConvergeItem], _ requires: [StepID] = []) -> Step {
        Step(
            id: id, phase: .install, node: "n", title: "\(id)", action: .converge(items), requires: requires,
            reversal: .reversible(seconds: 1), estimate: 0.1)
    }

    private var packages: Step {
        let desired = DesiredResource(.package(PackageSpec("nginx")), on: "n", origin: "test")
        return step("packages", [ConvergeItem(desired: desired, before: nil, change: nil)])
    }

    private func chosen(_ steps: [Step], _ results: [StepID: StepResult] = installed) -> [String] {
        let segment = Segment(
            id: "s", plan: "p", run: "r", node: "n", epoch: 1, serial: 1, steps: steps, onFailure: .skipDependents,
            lease: nil)
        let ahead = UnitsAhead(ExecutionHistory())
        for (id, result) in results { ahead.ended(id, result) }
        return ahead.candidates(steps.last ?? packages, segment).map(\.resource.name).sorted()
    }

    private let four = ["a.service", "b.service", "c.service", "d.service"]

    @Test func allWhosePackagesAreInTogether() {
        #expect(chosen([packages, unit("a"), unit("b"), unit("c"), unit("d")]) == four)
        // What else they need may still come: files do nothing until the unit starts.
        #expect(
            chosen([packages, unit("a", requires: ["packages", "file"]), unit("b"), unit("c"), unit("d")]) == four)
    }

    @Test func fewAreLeftToTheirSteps() {
        #expect(chosen([packages, unit("a"), unit("b"), unit("c")]) == [])
    }

    @Test func notBeforeTheirPackagesAndNotAfterAFailure() {
        let more = step(
            "more",
            [ConvergeItem(desired: .init(.package(PackageSpec("x")), on: "n", origin: "t"), before: nil, change: nil)])
        let steps = [packages, more, unit("e", requires: ["more"]), unit("a"), unit("b"), unit("c"), unit("d")]
        #expect(chosen(steps) == four)
        let failed = [packages, unit("e", requires: ["file"]), unit("a"), unit("b"), unit("c"), unit("d")]
        #expect(chosen(failed, ["packages": StepResult(.done), "file": StepResult(.failed)]) == four)
    }

    @Test func notWhatIsOver() {
        let done: [StepID: StepResult] = ["packages": StepResult(.done), "e": StepResult(.satisfied)]
        #expect(chosen([packages, unit("e"), unit("a"), unit("b"), unit("c"), unit("d")], done) == four)
    }

    /// A step that was planned from what stood there must find just that; what is to stand still gets nothing new.
    @Test func notWhatIsExactNorWhatShallStop() {
        let exact = unit("e", before: Digest(rawValue: "x"))
        #expect(
            chosen([packages, exact, unit("f", state: .stopped), unit("a"), unit("b"), unit("c"), unit("d")]) == four)
    }

    @Test func onlyOnce() {
        let steps = [packages, unit("a"), unit("b"), unit("c"), unit("d")]
        let segment = Segment(
            id: "s", plan: "p", run: "r", node: "n", epoch: 1, serial: 1, steps: steps, onFailure: .skipDependents,
            lease: nil)
        let ahead = UnitsAhead(ExecutionHistory())
        ahead.ended("packages", StepResult(.done))
        #expect(ahead.candidates(steps[1], segment).count == 4)
        #expect(ahead.candidates(steps[1], segment).isEmpty && ahead.candidates(steps[4], segment).isEmpty)
    }
}
