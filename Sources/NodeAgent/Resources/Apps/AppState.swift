import BasculeModel

/// What the agent remembers of an app.
struct AppState: Codable {
    /// Directory name of the release before the current one.
    var previous: String?
    /// Which release each instance was started from, by port.
    var instances: [String: Instance]

    /// Who released what, where a token did: nil for an apply's.
    var token: Release?

    /// A release by token.
    struct Release: Codable {
        /// Directory name.
        var release: String
        var token: String
    }

    /// One start of an instance.
    struct Instance: Codable {
        var invocation: String
        var release: String
        var unit: Digest
    }

    static func load(_ app: String, _ context: NodeContext) -> AppState? {
        StateFile.load(path(app, context), as: AppState.self)
    }

    func save(_ app: String, _ context: NodeContext) throws { try StateFile.save(Self.path(app, context), self) }

    private static func path(_ app: String, _ context: NodeContext) -> String {
        "\(context.stateDirectory)/apps/\(app.replacing("/", with: "-")).json"
    }
}
