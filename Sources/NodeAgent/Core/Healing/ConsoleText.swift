import BasculeModel

/// What the node's console shows, as lines.
enum ConsoleText {
    static func status(_ status: AgentStatus, now: Double) -> [String] {
        var lines = [
            "agent \(status.version), machine \(status.machine), up \(duration(status.uptime)), epoch \(status.epoch)"
        ]
        if let edge = status.edge { lines.append("old edge: \(edge.rawValue)") }
        if let t0 = status.t0 { lines.append("migration attempt \(status.migrationAttempt): \(t0.rawValue)") }
        lines += status.activities.map(activity)
        if let healing = status.healing { lines += self.healing(healing, now) }
        lines += services(status)
        lines.append("next: \(next(status))")
        return lines
    }

    /// One word, why, and what to do.
    static func verdict(_ status: AgentStatus, now: Double) -> [String] {
        var lines: [String] = []
        let running = status.activities.filter { $0.ended == nil }
        let drift = status.healing?.drift ?? []
        let failing = drift.filter { $0.reason == .backoff }
        if let stuck = status.activities.last, stuck.ended == .stuck {
            lines.append("ACT NOW: segment \(stuck.segment) got stuck and waits for a person")
        } else if status.healing?.diskLow == true {
            lines.append("ACT NOW: the disk is nearly full")
        } else if !failing.isEmpty {
            lines.append("DEGRADED: \(failing.count) resources do not stay as accepted")
        } else if let silent = status.services?.filter({ !$0.serves }), !silent.isEmpty {
            lines.append("DEGRADED: \(silent.map(\.name).joined(separator: ", ")) does not serve")
        } else if !drift.isEmpty {
            lines.append("SAFE, with \(drift.count) differences that are left alone")
        } else {
            lines.append("SAFE: everything is as accepted")
        }
        lines += running.map(activity)
        if let left = running.compactMap(\.leaseLeft).first { lines.append("the freeze ends in \(duration(left))") }
        lines += drift.prefix(10).map { self.drift($0, now) }
        lines.append("next: \(next(status))")
        return lines
    }

    private static func services(_ status: AgentStatus) -> [String] {
        (status.services ?? []).map { "\($0.serves ? "serves" : "DOES NOT SERVE")  \($0.name)  \($0.detail)" }
    }

    private static func activity(_ activity: AgentStatus.Activity) -> String {
        let state =
            activity.ended.map { "ended \($0.rawValue)" } ?? "running: \(activity.running.joined(separator: ", "))"
        return
            "\(activity.segment)  \(activity.phase?.rawValue ?? "")  \(activity.stepsDone)/\(activity.stepsTotal)  \(state)"
    }

    private static func healing(_ healing: HealingStatus, _ now: Double) -> [String] {
        var lines = [
            "keeps \(healing.managed) resources whole: \(healing.healed) healed, \(healing.failed) attempts failed since it started, \(healing.lastEvent) events"
        ]
        if let why = healing.suspended { lines.append("suspended: \(why)") }
        if healing.diskLow { lines.append("the disk is under its floor") }
        lines += healing.holds.map { hold in
            "held  \(hold.resource?.rawValue ?? "the whole node")  \(hold.until.map { "for \(duration($0 - now)) more" } ?? "until released")  \(hold.reason)"
        }
        return lines + healing.drift.map { drift($0, now) }
    }

    private static func drift(_ drift: Drift, _ now: Double) -> String {
        let again = drift.until.map { $0 > now ? ", again in \(duration($0 - now))" : ", again at once" } ?? ""
        return
            "differs  \(drift.resource)  since \(ago(drift.since, now))  \(drift.summary)  (\(drift.reason.text)\(again))"
    }

    private static func next(_ status: AgentStatus) -> String {
        if status.activities.contains(where: { $0.conducted && $0.ended == nil }) {
            return "bascule-agent rollback goes back; journalctl -fu bascule-agent shows what happens"
        }
        guard let healing = status.healing else { return "journalctl -u bascule-agent" }
        if healing.diskLow { return "free some space: du -xh / | sort -h | tail" }
        if let failing = healing.drift.first(where: { $0.reason == .backoff }) {
            return "find out what changes it: journalctl -u bascule-agent; or bascule-agent hold \(failing.resource)"
        }
        if !healing.holds.isEmpty { return "bascule-agent release ends every hold" }
        if !healing.drift.isEmpty { return "keep a difference by declaring it in the fleet file, or bascule apply" }
        return "nothing to do"
    }

    static func ago(_ time: Double, _ now: Double) -> String { "\(duration(max(0, now - time))) ago" }

    static func duration(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds).rounded(.up))
        if whole < 120 { return "\(whole) s" }
        if whole < 7200 { return "\(whole / 60) min" }
        return whole < 172_800 ? "\(whole / 3600) h" : "\(whole / 86_400) days"
    }
}
