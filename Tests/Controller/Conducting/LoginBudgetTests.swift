import BasculeModel
import Testing

@testable import BasculeConducting

@Suite struct LoginBudgetTests {
    @Test func whatIsTooMuchWaitsAndEveryNodeHasItsOwn() async throws {
        let budget = LoginBudget(most: 3, window: .milliseconds(300))
        let began = ContinuousClock.now
        for _ in 0..<3 { try await budget.enter("a") }
        try await budget.enter("b")
        #expect(ContinuousClock.now - began < .milliseconds(200), "these are within it")
        try await budget.enter("a")
        #expect(ContinuousClock.now - began >= .milliseconds(300))
        for _ in 0..<3 { try await budget.enter("a") }
        #expect(ContinuousClock.now - began >= .milliseconds(600))
    }
}
