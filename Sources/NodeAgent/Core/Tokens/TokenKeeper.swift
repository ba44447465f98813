import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization

/// The tokens that this node knows: each a key that may release one app. The register decides; the forced command in
/// the agent's authorized keys only says which token it is.
struct TokenKeeper {
    private let paths: AgentPaths
    /// Connections change the register from threads of their own.
    private static let lock = Mutex(())
    /// How many a node takes.
    private static let limit = 64

    init(_ paths: AgentPaths) { self.paths = paths }

    /// The apps by the name of the token that may release each.
    private func register() throws -> [String: String] {
        try DurableFile.load([String: String].self, from: paths.tokens) ?? [:]
    }

    /// Throws `token-refused` unless the token is known, and for this very app.
    func check(_ token: String, app: String) throws {
        guard try register()[token] == app else {
            throw BasculeError(
                .tokenRefused, "this token may not release \(app.prefix(40).asciiPrintable) on this node",
                hint: "a token releases one app until it is revoked; bascule token list shows them")
        }
    }

    func admit(_ name: String, app: String, key: String) throws {
        guard TokenRules.isName(name), TokenRules.isName(app) else {
            throw BasculeError(.invalidInput, "a token's name is made of lower-case letters, digits and dashes")
        }
        try Self.lock.withLock { _ in
            var known = try register()
            known[name] = app
            guard known.count <= Self.limit else {
                throw BasculeError(
                    .invalidInput, "a node takes \(Self.limit) tokens", hint: "bascule token revoke NAME")
            }
            // The register first: a key without an entry opens nothing.
            try DurableFile.save(known, to: paths.tokens)
            try AuthorizedKeys.admit(
                key, command: "\(AgentPaths.program) release-door \(app) \(name)", purpose: "token:\(name)")
        }
    }

    /// Harmless where there is no such token.
    func revoke(_ name: String) throws {
        guard TokenRules.isName(name) else { throw BasculeError(.invalidInput, "this is not a token's name") }
        try Self.lock.withLock { _ in
            var known = try register()
            known[name] = nil
            try DurableFile.save(known, to: paths.tokens)
            try AuthorizedKeys.remove(purpose: "token:\(name)")
        }
    }

    /// Another controller took the node over: what the former one handed out counts no more.
    static func forgetAll(_ paths: AgentPaths) throws {
        guard access(paths.tokens, F_OK) == 0 else { return }
        try DurableFile.save([String: String](), to: paths.tokens)
        try AuthorizedKeys.removeAll(beginning: "token:")
    }
}
