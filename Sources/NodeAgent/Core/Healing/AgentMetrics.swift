import BasculeModel
import Glibc

/// The agent's own metrics, left for node_exporter as a text file where there is one.
final class AgentMetrics {
    private let healing: Healing
    private var next = 0.0
    /// Seconds between two writings: less than anybody asks.
    private static let pause = 15.0

    init(_ healing: Healing) { self.healing = healing }

    func tell(at now: Double) {
        guard now >= next else { return }
        next = now + Self.pause
        guard let folder = healing.paths.metrics, access(folder, W_OK) == 0 else { return }
        let text = Self.text(
            healing.status(), lastApply: modified(healing.paths.snapshots),
            needsReboot: access("/run/reboot-required", F_OK) == 0)
        // Not flushed: after a power cut it is written anew, and a reader sees a whole file at every moment.
        let path = "\(folder)/bascule-agent.prom"
        let file = open("\(path).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { return }
        defer { close(file) }
        guard (try? DurableFile.writeAll(Array(text.utf8), to: file, path: path)) != nil, fchmod(file, 0o644) == 0
        else {
            return
        }
        rename("\(path).new", path)
    }

    /// Every apply begins with a snapshot.
    private func modified(_ path: String) -> Double {
        var status = stat()
        return stat(path, &status) == 0 ? Double(status.st_mtim.tv_sec) : 0
    }

    static func text(_ status: HealingStatus, lastApply: Double, needsReboot: Bool) -> String {
        var text = MetricText()
        func one(_ name: String, _ type: String, _ help: String, _ value: Double) {
            text.begin(name, type, help)
            text.add(value)
        }
        one("bascule_agent_managed_resources", "gauge", "Resources that are kept whole.", Double(status.managed))
        one(
            "bascule_agent_heals_total", "counter", "Differences put right since the agent started.",
            Double(status.healed))
        one("bascule_agent_heal_failures_total", "counter", "Attempts that failed since then.", Double(status.failed))
        one("bascule_agent_drift", "gauge", "Differences that are known and left alone.", Double(status.drift.count))
        one(
            "bascule_agent_backoff", "gauge", "Resources that fight back or whose healing failed.",
            Double(status.drift.count { $0.reason == .backoff }))
        one("bascule_agent_holds", "gauge", "What somebody asked to leave alone.", Double(status.holds.count))
        one("bascule_agent_suspended", "gauge", "1 while nothing is healed.", status.suspended == nil ? 0 : 1)
        one("bascule_agent_disk_low", "gauge", "1 while the disk is under its floor.", status.diskLow ? 1 : 0)
        one("bascule_agent_last_apply_timestamp_seconds", "gauge", "When an apply last began here.", lastApply)
        one("bascule_reboot_required", "gauge", "1 where an upgrade waits for a reboot.", needsReboot ? 1 : 0)
        return text.text
    }
}
