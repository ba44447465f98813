import BasculeModel

/// A fleet file that parsed, with what deserves a second look.
package struct ParsedFleet: Sendable {
    package var fleet: Fleet
    package var warnings: [FleetDiagnostic]
    /// Where each key stands, by its dotted path: `apps.shop.env.REDIS_URL`, `resources.3.template`.
    package var positions: [String: Place]
}

/// Every error of a fleet file at once.
package struct FleetErrors: Error, Sendable {
    /// Sorted by position; never empty.
    package var errors: [FleetDiagnostic]
    package var warnings: [FleetDiagnostic]
}
