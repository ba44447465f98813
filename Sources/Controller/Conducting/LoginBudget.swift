import BasculeModel
import Foundation

/// How often one command logs in to one node: what limits the rate of logins there, or bans whoever exceeds it, must
/// not shut the controller out.
actor LoginBudget {
    /// Logins within `window`; fail2ban's own sshd jail bears more, and so do common rate limits.
    private let most: Int
    private let window: Duration
    private var made: [NodeName: [ContinuousClock.Instant]] = [:]

    init(most: Int = 12, window: Duration = .seconds(60)) { (self.most, self.window) = (most, window) }

    /// Returns when another login is due, and counts it.
    func enter(_ node: NodeName) async throws {
        while true {
            let now = ContinuousClock.now
            var recent = (made[node] ?? []).filter { $0 > now - window }
            guard recent.count >= most else {
                recent.append(now)
                made[node] = recent
                return
            }
            try await Task.sleep(until: recent[0] + window, clock: .continuous)
        }
    }
}
