import BasculeFleet
import BasculeModel
import BasculePlanning
import Foundation

/// Whether the freeze may begin: only inside the declared window, and only if what is expected, and the way back from
/// it, fit what is left of it. `measured` is the part of the forecast that a copy has found out. Pure.
enum WindowRule {
    /// Why not, for people; nil where it may. A window without a start is whenever apply is run.
    static func refusal(_ window: Window?, now: Date, forecast: Double, measured: Double = 0, rollback: Double)
        -> String?
    {
        guard let window else { return nil }
        guard let start = window.start else {
            // It begins now; how long somebody needs to decide is not known, how long the data takes is.
            guard measured > 0, measured + rollback > window.length.seconds else { return nil }
            return "\(need(measured + rollback)), and the window is \(window.length.seconds.durationText) long"
        }
        let begins = start.timeIntervalSince(now)
        guard begins <= 0 else {
            return "the window begins in \(begins.durationText); everything before the freeze is done"
        }
        let left = window.length.seconds + begins
        guard left > 0 else {
            return "the window ended \((-left).durationText) ago; declare another one under migration.window"
        }
        guard forecast + rollback <= left else {
            return "\(need(forecast + rollback)), and the window ends in \(left.durationText)"
        }
        return nil
    }

    private static func need(_ seconds: Double) -> String {
        "the cutover and a way back need about \(seconds.durationText)"
    }
}
