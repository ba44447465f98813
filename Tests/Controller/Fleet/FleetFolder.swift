import BasculeFleet
import BasculeModel
import Foundation

/// A folder with the local files that a fleet file names; removed when it goes.
final class FleetFolder {
    let path: String
    var file: String { path + "/fleet.yaml" }

    init(_ files: [String] = ["journeys/shop.yaml", "templates/b.conf", "shop/server.js"]) throws {
        path = NSTemporaryDirectory() + "bascule-fleet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for name in files {
            let url = URL(fileURLWithPath: path + "/" + name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            let journey = "name: shop\nsteps: [{name: front, request: {path: /}}]\n"
            try Data((name.hasPrefix("journeys/") ? journey : "x").utf8).write(to: url)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func parse(_ text: String) throws(FleetErrors) -> ParsedFleet {
        try FleetFile.parse(text: text, path: file)
    }

    /// `line:column code` of every error; empty where the text is fine.
    func complaints(_ text: String) -> [String] {
        errors(text).map(FleetFolder.brief)
    }

    func errors(_ text: String) -> [FleetDiagnostic] {
        do throws(FleetErrors) {
            _ = try parse(text)
            return []
        } catch {
            return error.errors
        }
    }

    static func brief(_ diagnostic: FleetDiagnostic) -> String {
        guard case .file(_, let line, let column)? = diagnostic.error.place else { return "nowhere" }
        return "\(line):\(column) \(diagnostic.error.code)"
    }
}

/// The smallest fleet, to which tests add one thing.
let smallest = """
    fleet: tiny
    nodes: {n1: {address: 192.0.2.1}}
    topologies: {only: {n1: [database, cache, web, app]}}

    """
