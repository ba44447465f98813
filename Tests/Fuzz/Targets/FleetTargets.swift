import BasculeCatalogue
import BasculeCrypto
import BasculeModel

@testable import BasculeFleet

extension FuzzTarget {
    /// The fleet file, whole: parsed, checked, and compiled into resources.
    static let fleet = FuzzTarget(name: "fleet") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).count
        do throws(FleetErrors) {
            let parsed = try FleetFile.parse(text: text, path: "/nonexistent/fleet.yaml")
            let addresses = Dictionary(uniqueKeysWithValues: parsed.fleet.nodes.keys.map { ($0, "203.0.113.1") })
            _ = try? Catalogue.compile(
                CompileContext(fleet: parsed.fleet, addresses: addresses, positions: parsed.positions) {
                    Digest(of: $0)
                })
        } catch {
            check(error, lines)
        }
    }

    /// A journeys file.
    static let journey = FuzzTarget(name: "journey") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).count
        do throws(FleetErrors) {
            _ = try JourneyFile.parse(text: text, path: "/nonexistent/journey.yaml")
        } catch {
            check(error, lines)
        }
    }

    /// Every mistake has a place in the file and a bounded text.
    private static func check(_ errors: FleetErrors, _ lines: Int) {
        require(!errors.errors.isEmpty, "refused without a reason")
        for diagnostic in errors.errors {
            if case .file(let path, let line, let column)? = diagnostic.error.place, path.hasSuffix(".yaml") {
                require(line >= 0 && line <= lines + 1 && column >= 0, "a place outside of the file: \(line):\(column)")
            }
            require(diagnostic.render(color: true).utf8.count < 20_000, "an endless message")
        }
    }
}
