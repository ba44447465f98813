/// How far a data mover has come with one subject. Sent as often as a screen can use it, not for every row.
package struct MoveProgress: Hashable, Codable, Sendable {
    /// What is moved: a table (`public.orders`), a keyspace, a directory; empty for the whole.
    package var subject: String
    /// A word for people and filters: `schema`, `copy`, `index`, `constraints`, `analyze`, `digest`, `sync`…
    package var phase: String
    /// Rows, keys or files done so far.
    package var rows: Int64
    /// Bytes done so far, as they travelled.
    package var bytes: Int64
    /// Estimate of `bytes` at the end, from the source's own statistics; nil when unknown.
    package var totalBytes: Int64?

    package init(subject: String, phase: String, rows: Int64 = 0, bytes: Int64 = 0, totalBytes: Int64? = nil) {
        self.subject = subject
        self.phase = phase
        self.rows = rows
        self.bytes = bytes
        self.totalBytes = totalBytes
    }
}
