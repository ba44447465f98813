/// Errors of one app that are alike: the same kind, the same message but for what changes, thrown in the same place.
package struct ErrorGroup: Hashable, Codable, Sendable {
    /// 12 hexadecimal digits; the same for all releases and nodes of the app.
    package var fingerprint: String
    package var app: String
    /// The exception's class, e.g. `TypeError`.
    package var type: String
    /// Its message with `<n>`, `<uuid>`, `<address>`… for what changes; at most 200 characters.
    package var message: String
    /// The innermost functions of the app's own code with their files, without line numbers; at most 5.
    package var frames: [String]
    package var count: Int
    /// Seconds since 1970 by the node's clock.
    package var first: Double
    package var last: Double
    /// The newest one as the journal has it, without secrets; at most 4,000 characters.
    package var sample: String

    package init(
        fingerprint: String, app: String, type: String, message: String, frames: [String], count: Int, first: Double,
        last: Double, sample: String
    ) {
        (self.fingerprint, self.app, self.type, self.message) = (fingerprint, app, type, message)
        (self.frames, self.count, self.first, self.last, self.sample) = (frames, count, first, last, sample)
    }
}
