/// A measured value with its threshold, kept for ever.
package struct Evidence: Hashable, Codable, Sendable {
    /// What was asked, e.g. `database rows equal`.
    package var subject: String
    /// What was measured, for people: `214,380 rows in 24 tables`.
    package var value: String
    /// What it had to be, for people; nil where it is only told.
    package var threshold: String?
    package var passed: Bool
    /// Seconds since 1970.
    package var time: Double
    /// Seconds since 1970 from which it no longer counts; nil for never.
    package var expires: Double?
    /// Who measured: a node's name, or `controller`.
    package var origin: String
    /// The number behind the value, where there is one, and its unit.
    package var measure: Double?
    package var unit: String?

    package init(
        _ subject: String, value: String, threshold: String? = nil, passed: Bool, time: Double, expires: Double? = nil,
        origin: String, measure: Double? = nil, unit: String? = nil
    ) {
        (self.subject, self.value, self.threshold, self.passed) = (subject, value, threshold, passed)
        (self.time, self.expires, self.origin, self.measure, self.unit) = (time, expires, origin, measure, unit)
    }
}
