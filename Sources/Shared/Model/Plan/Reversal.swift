/// What going back over a step costs.
package enum Reversal: Hashable, Codable, Sendable {
    /// It can be undone in about so many seconds, at any time.
    case reversible(seconds: Double)
    /// It can be undone for nothing until something happens, e.g. `T0`.
    case reversibleUntil(event: String)
    case pointOfNoReturn(reason: String)
}

/// How a running step may be cancelled.
package enum Cancellation: String, Hashable, Codable, Sendable {
    /// It stops at once and leaves the state of before.
    case abortable
    /// It has to run to its end.
    case runsToCompletion
    /// It stops, and a compensating step undoes what it did.
    case compensating
}
