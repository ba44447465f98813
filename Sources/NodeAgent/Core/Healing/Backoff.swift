/// How often one resource was healed of late: who fights back is healed ever more seldom.
struct Backoff: Equatable, Sendable {
    /// Heals in a row that are not waited for.
    static let free = 8

    private(set) var strikes = 0
    /// On the monotonic clock.
    private(set) var last = -Double.infinity

    /// Seconds after the last attempt, strike by strike: none for the first eight, then 1, 2, 4 … up to the cap.
    func delay(_ settings: AgentSettings) -> Double {
        strikes < Self.free ? 0 : min(settings.backoffCap, exp2(strikes - Self.free))
    }

    /// When the next attempt may be made, on the monotonic clock.
    func notBefore(_ settings: AgentSettings) -> Double { last + delay(settings) }

    /// How much an attempt counts.
    enum Weight: Int { case plain = 1, crash = 2, failure = 4 }

    /// Notes an attempt. A quiet time makes it the first again.
    mutating func strike(at now: Double, _ settings: AgentSettings, _ weight: Weight = .plain) {
        if now - last > max(settings.backoffQuiet, 2 * delay(settings)) { strikes = 0 }
        strikes += weight.rawValue
        last = now
    }

    private func exp2(_ power: Int) -> Double { power > 40 ? .infinity : Double(1 << power) }
}

/// How much is healed in all: a bucket that fills by the second and that every heal takes from.
struct HealBudget: Sendable {
    private var level: Double
    private var last: Double
    private let rate: Double
    private let size: Double

    init(_ settings: AgentSettings, now: Double) {
        rate = settings.healsPerMinute / 60
        size = max(1, settings.healsPerMinute / 3)
        (level, last) = (size, now)
    }

    /// Whether one more may be healed now; if so it is taken.
    mutating func take(at now: Double) -> Bool {
        level = min(size, level + (now - last) * rate)
        last = now
        guard level >= 1 else { return false }
        level -= 1
        return true
    }
}
