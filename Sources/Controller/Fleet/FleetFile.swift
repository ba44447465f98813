import BasculeModel
import Foundation

/// A fleet file that parsed, with what deserves a second look.
package struct ParsedFleet: Sendable {
    package var fleet: Fleet
    /// Sorted by position.
    package var warnings: [FleetDiagnostic]
    /// Where each key stands, by its dotted path: `apps.shop.env.REDIS_URL`, `resources.3.template`.
    package var positions: [String: Place]
}

/// Everything that is wrong with a file, at once.
package struct FleetErrors: Error, Sendable {
    /// Sorted by position, those of journeys files after the fleet file's own; never empty; at most 200 a file.
    package var errors: [FleetDiagnostic]
    package var warnings: [FleetDiagnostic]

    /// Every error and warning, rendered, an empty line between them, and a count.
    package func render(color: Bool = false) -> String {
        let count = errors.count == 1 ? "1 error" : "\(errors.count) errors"
        return ((errors + warnings).map { $0.render(color: color) } + [count]).joined(separator: "\n\n")
    }
}

/// Reads `fleet.yaml`.
package enum FleetFile {
    /// Reads a file; local paths in it are looked up beside it. Nothing else is touched.
    package static func parse(path: String) throws(FleetErrors) -> ParsedFleet {
        switch Document.read(path: path) {
        case .success(let text): return try parse(text: text, path: path)
        case .failure(let error): throw FleetErrors(unreadable: error)
        }
    }

    /// Reads a text as if it stood in the file at `path`, which need not exist.
    package static func parse(text: String, path: String) throws(FleetErrors) -> ParsedFleet {
        let document = Document(text: text, path: path)
        let reader = document.reader
        var fleet = Fleet()
        if let root = document.root, let read = reader.object(Fleet.self, root) {
            fleet = read
            fleet.folder = URL(fileURLWithPath: path).standardizedFileURL.deletingLastPathComponent().path
            FleetChecks(reader: reader).run(&fleet)
        }
        let errors = reader.diagnostics(.error)
        let warnings = reader.diagnostics(.warning)
        guard errors.isEmpty, document.root != nil else { throw FleetErrors(errors: errors, warnings: warnings) }
        return ParsedFleet(
            fleet: fleet, warnings: warnings, positions: reader.keys.mapValues { reader.place(of: $0) })
    }
}

extension FleetErrors {
    /// A file that could not even be read.
    init(unreadable error: BasculeError) {
        self.init(
            errors: [FleetDiagnostic(severity: .error, error: error, sourceLine: "", column: 1, length: 1, caret: 0)],
            warnings: [])
    }
}
