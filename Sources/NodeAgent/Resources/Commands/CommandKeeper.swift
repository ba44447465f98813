import BasculeModel

/// Opaque commands with their probe.
enum CommandKeeper {
    /// A probe must be cheap: it runs at every observation.
    private static let probeLimit = 10

    static func observe(_ spec: CommandSpec) throws -> CommandObserved {
        let options = Subprocess.Options(
            user: spec.user, directory: spec.directory, deadline: .seconds(min(probeLimit, spec.timeout)))
        return CommandObserved(done: try Subprocess.run(spec.unless, options).status == 0)
    }

    static func apply(_ spec: CommandSpec, _ context: NodeContext) throws {
        try Subprocess.require(
            spec.command, "The command \(spec.name)", hint: "its probe is `\(spec.unless.joined(separator: " "))`",
            .init(
                user: spec.user, directory: spec.directory, deadline: .seconds(spec.timeout),
                isCancelled: context.isCancelled, onLine: { context.progress($0) }))
        guard try observe(spec).done else {
            throw BasculeError(
                .commandFailed, "The command \(spec.name) succeeded, but its probe still fails",
                hint: "correct `unless` in the fleet file")
        }
    }
}
