import BasculeModel

/// An error or a warning with the line that it is about.
package struct FleetDiagnostic: Sendable, Hashable {
    package enum Severity: String, Sendable, Hashable { case error, warning }
    package var severity: Severity
    /// Its place is always a `.file`.
    package var error: BasculeError
    /// The line's text, without its line feed.
    package var sourceLine: String
    /// Counts from 1, in characters.
    package var column: Int
    /// How many characters the caret covers; at least 1.
    package var length: Int
}
