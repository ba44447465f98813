import BasculeFleet
import BasculeModel
import BasculePlanning
import Foundation

/// Whether the freeze may begin: only inside the declared window, and only if what is expected, and the way back from
/// it, fit what is left of it. Pure.
enum WindowRule {
    /// Why not, for people; nil where it may. A window without a start is whenever apply is run.
    static func refusal(_ window: Window?, now: Date, forecast: Double, rollback: Double) -> String? {
        guard let window, let start = window.start else { return nil }
        let begins = start.timeIntervalSince(now)
        guard begins <= 0 else {
            return "the window begins in \(begins.durationText); everything before the freeze is done"
        }
        let left = window.length.seconds + begins
        guard left > 0 else {
            return "the window ended \((-left).durationText) ago; declare another one under migration.window"
        }
        guard forecast + rollback <= left else {
            return
                "the cutover and a way back need about \((forecast + rollback).durationText), and the window ends in \(left.durationText)"
        }
        return nil
    }
}
