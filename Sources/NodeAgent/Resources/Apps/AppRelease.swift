import BasculeModel

extension ResourceKeeper {
    /// Notes which token put an app's release there; observations tell it until something else is released.
    package static func note(releaseOf spec: AppSpec, by token: String, _ context: NodeContext) throws {
        guard var state = AppState.load(spec.app, context) else { return }
        state.token = .init(release: String(spec.release.rawValue.prefix(16)), token: token)
        try state.save(spec.app, context)
    }
}
