import BasculeModel
import Foundation

extension FleetChecks {
    func apps(_ fleet: Fleet) {
        var domains: [String: String] = [:]
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            let path = "apps.\(name)"
            placed("the app '\(name)'", .app, at: key(path), fleet)
            for (part, environment) in [("env", app.env), ("buildEnv", app.buildEnv)] {
                for (variable, entry) in environment {
                    guard case .reference(let reference) = entry else { continue }
                    self.reference(reference, at: value("\(path).\(part).\(variable)"), fleet)
                }
            }
            for (index, domain) in app.domains.enumerated() {
                if let other = domains[domain] {
                    reader.error(
                        .fleetDuplicateClaim, "the domain '\(domain)' is already served for app '\(other)'",
                        at: value("\(path).domains.\(index)"), hint: "one domain leads to one app")
                }
                domains[domain] = name.rawValue
            }
            if !app.domains.isEmpty, !declared("services.nginx"), !declared("services.caddy") {
                reader.error(
                    .fleetDangling, "the app '\(name)' has domains, but no web server is declared",
                    at: key("\(path).domains"), hint: "add services: {nginx: {}}")
            }
            if let journeys = app.journeys { self.journeys(journeys, at: value("\(path).journeys"), fleet) }
            sourceThere(app.source, path, fleet)
        }
    }

    /// A journeys file is checked along: its mistakes would otherwise show only at the smoke gate.
    private func journeys(_ path: String, at span: Span, _ fleet: Fleet) {
        guard file(path, what: "the journeys file", at: span, fleet) else { return }
        do throws(FleetErrors) {
            _ = try JourneyFile.parse(path: fleet.folder + "/" + path)
        } catch {
            reader.add(error.errors)
        }
    }

    /// The code may still be on its way, so its absence is only a warning.
    private func sourceThere(_ source: AppSource, _ path: String, _ fleet: Fleet) {
        let local: String
        switch source {
        case .git: return
        case .path(let text), .archive(let text): local = text
        }
        guard !local.isEmpty else { return }
        let whole = local.hasPrefix("/") ? local : fleet.folder + "/" + local
        if !FileManager.default.fileExists(atPath: whole) {
            let part = declared("\(path).source.path") ? "path" : "archive"
            reader.warning(
                "the app's source \(quoted(local)) is not there yet", at: value("\(path).source.\(part)"),
                hint: "paths are relative to the fleet file's folder; an apply will need it")
        }
    }

    /// Whether what a reference names exists.
    func reference(_ reference: Reference, at span: Span, _ fleet: Fleet) {
        guard case .binding(let binding) = reference else { return }
        switch binding.target {
        case .database(let name): database(name, at: span, fleet)
        case .redis(let purpose): redis(purpose, at: span)
        case .app(let name):
            guard !declared("apps.\(name)") else { return }
            dangling("app", name.rawValue, at: span, among: fleet.apps.keys.map(\.rawValue))
        case .mail:
            guard !declared("services.mail") else { return }
            dangling("service", "mail", at: span, among: [])
        }
    }
}
