import BasculeModel
import BasculeStore
import Foundation

/// One node's status for people. All words of nodes are escaped.
struct StatusView {
    let row: StatusRow
    var now = Date().timeIntervalSince1970

    var lines: [String] {
        guard let status = row.status else {
            let why = Terminal.escape(row.error?.message ?? "no answer")
            let hint = row.error?.hint.map { ["  hint: \(Terminal.escape($0))"] } ?? []
            return ["\(Terminal.paint(row.node, .bold))  \(Terminal.paint(why, .red))"] + hint + events
        }
        let edge = status.edge.map { ", old edge: \($0.rawValue)" } ?? ""
        var out = [
            "\(Terminal.paint(row.node, .bold))  agent \(Terminal.escape(status.version)), up \(status.uptime.durationText), machine \(Terminal.escape(String(status.machine.prefix(12))))\(edge)"
        ]
        if let error = row.error { out.append("  " + Terminal.paint(Terminal.escape(error.message), .red)) }
        if row.upgradeDue == true {
            let text = "not the agent that came with this program; next: bascule node upgrade \(row.node)"
            out.append("  " + Terminal.paint(text, .yellow))
        }
        if let skew = row.clockSkew {
            out += ClockSkew.lines([NodeName(row.node): skew]).map { "  " + Terminal.paint($0, .yellow) }
        }
        for activity in status.activities.suffix(5) {
            let state =
                activity.ended.map { "ended \($0.rawValue)" }
                ?? "runs: \(activity.running.map(Terminal.escape).joined(separator: ", "))"
            out.append("  \(activity.phase?.rawValue ?? "")  \(activity.stepsDone)/\(activity.stepsTotal)  \(state)")
        }
        if let healing = status.healing { out += lines(healing) }
        out += lines(status.services ?? [])
        return out + events
    }

    private func lines(_ healing: HealingStatus) -> [String] {
        let failed = healing.failed > 0 ? ", \(healing.failed) attempts failed" : ""
        var out = ["  keeps \(healing.managed) resources whole: \(healing.healed) healed\(failed) since it started"]
        if let why = healing.suspended {
            out.append("  " + Terminal.paint("suspended: \(Terminal.escape(why))", .yellow))
        }
        if healing.diskLow { out.append("  " + Terminal.paint("the disk is under its floor", .red)) }
        for hold in healing.holds.prefix(20) {
            let what = Terminal.escape(hold.resource?.rawValue ?? "the whole node")
            let left = hold.until.map { "for \(remaining($0)) more" } ?? "until released"
            out.append("  " + Terminal.paint("held  \(what)  \(left)  \(Terminal.escape(hold.reason))", .yellow))
        }
        for drift in healing.drift.prefix(20) {
            let again = drift.until.map { ", looked at again in \(remaining($0))" } ?? ""
            out.append(
                "  "
                    + Terminal.paint(
                        "differs  \(Terminal.escape("\(drift.resource)"))  \(Terminal.escape(drift.summary))  (\(drift.reason.rawValue)\(again))",
                        .yellow))
        }
        let hidden = max(0, healing.drift.count - 20)
        return hidden > 0 ? out + ["  and \(hidden) more that differ"] : out
    }

    private func lines(_ services: [ServiceState]) -> [String] {
        let good = services.filter(\.serves).map { Terminal.escape($0.name) }
        let bad = services.filter { !$0.serves }.map { service in
            "  "
                + Terminal.paint(
                    "does not serve  \(Terminal.escape(service.name))  \(Terminal.escape(service.detail))", .red)
        }
        return bad + (good.isEmpty ? [] : ["  serves: \(good.joined(separator: ", "))"])
    }

    /// Until a moment of the node's own clock.
    private func remaining(_ time: Double) -> String {
        max(0, time - (row.clockSkew ?? 0) - now).rounded(.up).durationText
    }

    private var events: [String] {
        row.events.map { Terminal.paint("  " + EventLine.text($0, node: false), .dim) }
    }
}

/// What an agent did by itself, on one line.
enum EventLine {
    static func text(_ collected: CollectedEvent, node: Bool) -> String {
        let event = collected.event
        let parts = [
            HistoryCommand.time(collected.time), node ? "\(collected.node)" : nil, event.kind.rawValue,
            event.resource.map { "\($0)" }, event.text, event.seconds.map { "in \($0.durationText)" },
            event.error.map { "[\($0.code)]" },
        ]
        return parts.compactMap { $0 }.map(Terminal.escape).joined(separator: "  ")
    }
}
