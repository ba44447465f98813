import BasculeCrypto
import BasculeFleet
import BasculeModel
import Foundation

@testable import BasculeCatalogue

/// A fleet's folder on disk, removed when it goes.
final class CatalogueFolder {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        path = NSTemporaryDirectory() + "bascule-catalogue-\(UUID().uuidString)"
        for (name, text) in files.merging(["shop/server.js": "x"], uniquingKeysWith: { own, _ in own }) {
            let url = URL(fileURLWithPath: path + "/" + name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Parses and compiles a fleet file's text as if it stood in this folder.
    func compile(_ text: String, _ adjust: (inout CompileContext) -> Void = { _ in }) throws -> Compiled {
        try Self.compile(try FleetFile.parse(text: text, path: path + "/fleet.yaml"), adjust)
    }

    static func compile(_ parsed: ParsedFleet, _ adjust: (inout CompileContext) -> Void = { _ in }) throws -> Compiled {
        var context = CompileContext(fleet: parsed.fleet, positions: parsed.positions, digest: { Digest(of: $0) })
        for app in parsed.fleet.apps.keys {
            context.archives[app] = SourceArchive(digest: Digest(of: "source of \(app)"), size: 10)
        }
        adjust(&context)
        return try Catalogue.compile(context)
    }

    /// The error of a text that must not compile.
    func error(_ text: String, _ adjust: (inout CompileContext) -> Void = { _ in }) throws -> BasculeError? {
        do {
            _ = try compile(text, adjust)
            return nil
        } catch let error as BasculeError {
            return error
        }
    }

    /// The example of the repository.
    static var example: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../../Examples/girlycrea/fleet.yaml"
        )
        .standardizedFileURL.path
    }
}

extension Compiled {
    /// A resource by the part of its id after the node.
    func find(_ id: String, on node: NodeName = "vps1") -> DesiredResource? {
        resources[node]?.first { $0.id.rawValue == "\(node)/\(id)" }
    }

    /// A file's text with secrets as placeholders.
    func text(_ path: String, on node: NodeName = "vps1") -> String {
        guard case .file(let spec)? = find("file:\(path)", on: node)?.resource else { return "" }
        return spec.content.display
    }

    func unit(_ name: String, on node: NodeName = "vps1") -> UnitSpec? {
        if case .unit(let spec)? = find("unit:\(name)", on: node)?.resource { spec } else { nil }
    }

    func release(_ app: String, on node: NodeName = "vps1") -> ReleaseSpec? {
        if case .release(let spec)? = find("release:\(app)", on: node)?.resource { spec } else { nil }
    }

    func rules(on node: NodeName = "vps1") -> [String] {
        guard case .firewall(let spec)? = find("firewall:inbound", on: node)?.resource else { return [] }
        return spec.rules.map {
            "\($0.transport.rawValue)/\($0.port) \($0.from.joined(separator: " "))".trimmingCharacters(in: .whitespaces)
        }
    }
}
