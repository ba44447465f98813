import Testing

@testable import BasculeAgentCore

/// Who fights back is healed ever more seldom, and never less often than the cap says.
struct BackoffTests {
    private let settings = AgentSettings(backoffQuiet: 60, backoffCap: 900, healsPerMinute: 60)

    @Test func theDelayDoublesUpToTheCap() {
        var backoff = Backoff()
        var now = 0.0
        var delays: [Double] = []
        for _ in 0..<24 {
            backoff.strike(at: now, settings)
            delays.append(backoff.delay(settings))
            now = backoff.notBefore(settings)
        }
        #expect(delays.prefix(7).allSatisfy { $0 == 0 })
        #expect(delays.dropFirst(7).prefix(11) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900])
        #expect(delays.last == 900)
    }

    @Test func aQuietTimeForgets() {
        var backoff = Backoff()
        for _ in 0..<9 { backoff.strike(at: 100, settings) }
        #expect(backoff.delay(settings) == 2)
        backoff.strike(at: 159, settings)
        #expect(backoff.strikes == 10)
        backoff.strike(at: 220, settings)
        #expect(backoff.strikes == 1 && backoff.delay(settings) == 0)
    }

    /// The cap's own length is no quiet time, or the highest delay would set it back to none.
    @Test func waitingOutTheCapIsNotQuiet() {
        var backoff = Backoff()
        for _ in 0..<40 { backoff.strike(at: 0, settings) }
        backoff.strike(at: 901, settings)
        #expect(backoff.strikes == 41 && backoff.notBefore(settings) == 1801)
    }

    @Test func failuresCountFourTimes() {
        var backoff = Backoff()
        backoff.strike(at: 0, settings, .failure)
        #expect(backoff.delay(settings) == 0)
        backoff.strike(at: 0, settings, .failure)
        #expect(backoff.delay(settings) == 1)
        backoff.strike(at: 0, settings, .failure)
        #expect(backoff.delay(settings) == 16)
    }

    @Test func theBudgetFillsBySecond() {
        var budget = HealBudget(settings, now: 0)
        func taken(_ tries: Int, at now: Double) -> Int { (0..<tries).count { _ in budget.take(at: now) } }
        #expect(taken(25, at: 0) == 20)
        #expect(taken(25, at: 5) == 5)
        #expect(taken(99, at: 1000) == 20)
    }
}
