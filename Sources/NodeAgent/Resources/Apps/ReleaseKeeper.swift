import BasculeModel
import Glibc

/// Releases of apps: unpacked and built as the app's user, in a directory that never changes afterwards.
enum ReleaseKeeper {
    /// Its presence says that the release was built to its end.
    private static let mark = ".built"

    static func observe(_ spec: ReleaseSpec) throws -> ReleaseObserved {
        ReleaseObserved(built: try FileDigests.hash("\(spec.directory)/\(mark)") != nil)
    }

    static func apply(_ spec: ReleaseSpec, _ context: NodeContext) throws {
        if try observe(spec).built { return }
        let user = try AccountDatabase.current().requireUser(spec.user)
        let group = try AccountDatabase.current().groupName(user.gid)
        try removeTree(spec.directory)
        do {
            for path in [spec.root, "\(spec.root)/releases", spec.directory] {
                try DirectoryKeeper.apply(DirectorySpec(path, permissions: Permissions(mode: 0o755)))
            }
            let own = Permissions(owner: spec.user, group: group, mode: 0o755)
            for name in ["app", "home"] {
                try DirectoryKeeper.apply(DirectorySpec("\(spec.directory)/\(name)", permissions: own))
            }
            try ReleaseArchive.unpack(spec, context)
            let variables = try spec.env.mapValues { try context.bytes(of: $0) }
            try AtomicFile.write(
                "\(spec.directory)/env", try EnvironmentFile.text(variables),
                Permissions(owner: "root", group: group, mode: 0o640))
            try build(spec, context)
            try AtomicFile.write("\(spec.directory)/\(mark)", Array("\(spec.release)\n".utf8), Permissions(mode: 0o644))
        } catch {
            try? removeTree(spec.directory)
            throw error
        }
        try prune(spec, context)
    }

    private static func build(_ spec: ReleaseSpec, _ context: NodeContext) throws {
        let end = ContinuousClock.now.advanced(by: .seconds(spec.timeout))
        var variables: [String: String] = ["USER": spec.user, "LOGNAME": spec.user]
        for (name, content) in spec.buildEnv {
            let bytes = try context.bytes(of: content)
            try EnvironmentFile.check(name, bytes)
            variables[name] = String(decoding: bytes, as: UTF8.self)
        }
        variables["HOME"] = "\(spec.directory)/home"
        let redactor = try Redactor(spec.buildEnv.values.flatMap(\.secrets), context)
        for line in spec.build {
            context.progress("build: \(line)")
            let options = Subprocess.Options(
                environment: variables, user: spec.user, directory: "\(spec.directory)/app",
                deadline: ContinuousClock.now.duration(to: end), isCancelled: context.isCancelled,
                onLine: { context.progress(redactor.clean($0)) })
            // The line is the user's own declared command, run in a shell as such; nothing is put into it.
            let outcome = try Subprocess.run(["/bin/sh", "-eu", "-c", line], options)
            guard outcome.status == 0 else {
                throw BasculeError(
                    .buildFailed, "The build of \(spec.app) failed with status \(outcome.status)", at: .thing(line),
                    cause: outcome.cause().map(redactor.clean), hint: "the release before it is untouched")
            }
        }
    }

    /// Keeps the newest releases, and always the current and the previous one.
    private static func prune(_ spec: ReleaseSpec, _ context: NodeContext) throws {
        try remove(beyond: max(1, spec.keep), spec, context)
    }

    /// Removes every release but the current, the previous and the accepted one; gives their names.
    static func giveUp(_ spec: ReleaseSpec, _ context: NodeContext) throws -> [String] {
        try remove(beyond: 0, spec, context)
    }

    @discardableResult
    private static func remove(beyond count: Int, _ spec: ReleaseSpec, _ context: NodeContext) throws -> [String] {
        let releases = "\(spec.root)/releases"
        let state = AppState.load(spec.app, context)
        let kept = Set(
            [AppKeeper.current(spec.root), state?.previous, String(spec.release.rawValue.prefix(16))].compactMap { $0 })
        let built = (directoryNames(releases) ?? []).map { name in
            (name, FileIdentity(path: "\(releases)/\(name)/\(mark)")?.modified ?? 0)
        }.sorted { $0.1 > $1.1 }.map(\.0)
        let old = built.dropFirst(count).filter { !kept.contains($0) }
        for name in old {
            context.progress("removing the old release \(name)")
            try removeTree("\(releases)/\(name)")
        }
        return Array(old)
    }

    private static func removeTree(_ path: String) throws {
        guard try ParentDirectory.find(path)?.status() != nil else { return }
        try Subprocess.require(
            ["rm", "-rf", "--one-file-system", "--", path], "Removing \(path)", .init(deadline: .seconds(600)))
    }
}

/// Takes the values of secrets out of lines that people see.
struct Redactor: Sendable {
    private let values: [String]

    init(_ names: [SecretName], _ context: NodeContext) throws {
        // Shorter values would blacken every second word.
        values = try names.map { try context.resolve($0).reveal() }.filter { $0.count >= 4 }
    }

    func clean(_ line: String) -> String { values.reduce(line) { $0.replacing($1, with: "‹secret›") } }
}
