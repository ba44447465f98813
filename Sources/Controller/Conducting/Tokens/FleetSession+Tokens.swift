import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

extension FleetSession {
    private static let tokensSetting = "tokens"

    /// The tokens that were given out, by name.
    package nonisolated func tokens() throws -> [TokenRecord] {
        guard let text = try store.setting(Self.tokensSetting) else { return [] }
        return try Wire.decode([TokenRecord].self, from: Array(text.utf8))
    }

    private nonisolated func save(_ tokens: [TokenRecord]) throws {
        let bytes = try Wire.encode(tokens.sorted { $0.name < $1.name })
        try store.set(Self.tokensSetting, to: String(decoding: bytes, as: UTF8.self))
    }

    /// Makes a token that may release one app, and has every node of the app let it in. The private half is in the
    /// result and nowhere else.
    package func createToken(_ name: String, app: String) async throws -> TokenFile {
        guard TokenRules.isName(name) else {
            throw BasculeError(
                .invalidInput, "a token's name is made of at most 40 lower-case letters, digits and dashes")
        }
        guard try !tokens().contains(where: { $0.name == name }) else {
            throw BasculeError(
                .invalidInput, "there is a token \(name) already", hint: "bascule token revoke \(name), or another name"
            )
        }
        guard fleet.apps.keys.contains(where: { $0.rawValue == app }) else {
            throw BasculeError(
                .notFound, "the fleet file has no app \(app)",
                hint: "it has: \(fleet.apps.keys.map(\.rawValue).sorted().joined(separator: ", "))")
        }
        let (compiled, _) = try await PlanMaker(session: self).compile()
        let nodes = compiled.resources.filter { entry in
            entry.value.contains { if case .app(let spec) = $0.resource { spec.app == app } else { false } }
        }.keys.sorted()
        guard !nodes.isEmpty else { throw BasculeError(.notFound, "the app \(app) runs on no node") }
        var places: [TokenFile.Node] = []
        for node in nodes {
            guard let endpoint = try await endpoint(node), try isBootstrapped(node) else {
                throw BasculeError(
                    .notBootstrapped, "the node has no agent yet", at: .node(name: node.rawValue, subject: nil),
                    hint: "bascule apply first: a token releases what runs already")
            }
            places.append(
                TokenFile.Node(
                    name: node, host: endpoint.host, port: Int(endpoint.port),
                    hostKeys: try await pins(node).map(\.line)))
        }
        let pair = try await Self.freshFleetKey(fleet.name.description)
        // Remembered before any node lets it in, so that it can always be revoked.
        try save(
            try tokens() + [
                TokenRecord(
                    name: name, app: app, nodes: nodes, created: Date().timeIntervalSince1970,
                    publicLine: pair.publicLine)
            ])
        for node in nodes {
            guard
                case .accepted = try await link(node).ask(.admitToken(name: name, app: app, key: pair.publicLine))
            else { throw BasculeError(.protocolViolation, "the agent answered something else") }
        }
        return TokenFile(
            fleet: fleet.name.description, token: name, app: app, key: pair.secret.reveal(), nodes: places)
    }

    /// Has every node lock a token out. Gives the nodes that could not be told, and why: they let it in still, and the
    /// token stays on the list until a later call has told them.
    package func revokeToken(_ name: String) async throws -> [NodeName: BasculeError] {
        guard var token = try tokens().first(where: { $0.name == name }) else {
            throw BasculeError(.notFound, "there is no token \(name)", hint: "bascule token list")
        }
        var failed: [NodeName: BasculeError] = [:]
        for node in token.nodes where fleet.nodes[node] != nil {
            do { _ = try await link(node).ask(.revokeToken(name: name)) } catch {
                failed[node] = BasculeError.wrapping(error, "the node could not be told")
            }
        }
        token.nodes = failed.keys.sorted()
        try save(try tokens().filter { $0.name != name } + (failed.isEmpty ? [] : [token]))
        return failed
    }
}
