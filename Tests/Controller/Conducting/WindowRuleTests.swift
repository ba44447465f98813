import BasculeFleet
import Foundation
import Testing

@testable import BasculeConducting

@Suite struct WindowRuleTests {
    private let start = Date(timeIntervalSince1970: 1_000_000)

    private func refusal(at offset: Double, forecast: Double = 60, rollback: Double = 30) -> String? {
        var window = Window()
        window.start = start
        window.length = .seconds(1800)
        return WindowRule.refusal(
            window, now: start.addingTimeInterval(offset), forecast: forecast, rollback: rollback)
    }

    @Test func theFreezeWaitsForTheWindow() {
        #expect(refusal(at: -600)?.hasPrefix("the window begins in 10 min") == true)
        #expect(refusal(at: 0) == nil)
        #expect(refusal(at: 1700) == nil)
        #expect(refusal(at: 1800)?.hasPrefix("the window ended") == true)
    }

    @Test func forecastAndWayBackMustFitWhatIsLeft() {
        #expect(refusal(at: 1711)?.hasPrefix("the cutover and a way back need about 90 s") == true)
        #expect(refusal(at: 0, forecast: 1790, rollback: 11) != nil)
        #expect(refusal(at: 0, forecast: 1790, rollback: 10) == nil)
    }

    /// A MySQL source whose tables are read whole under the fence.
    @Test func whatACopyHasMeasuredMustFitTheWindow() {
        var short = Window()
        short.length = .seconds(60)
        func refusal(_ measured: Double) -> String? {
            WindowRule.refusal(short, now: start, forecast: measured + 75, measured: measured, rollback: 2)
        }
        #expect(refusal(58) == nil)
        #expect(
            refusal(59) == "the cutover and a way back need about 61 s, and the window is 60 s long",
            "\(refusal(59) ?? "nil")")
        short.start = start
        #expect(refusal(0)?.contains("the window ends in 60 s") == true)
    }

    @Test func withoutAStartItIsWhenever() {
        #expect(WindowRule.refusal(nil, now: start, forecast: 1e9, rollback: 0) == nil)
        #expect(WindowRule.refusal(Window(), now: start, forecast: 1e9, rollback: 0) == nil)
    }
}
