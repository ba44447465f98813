import BasculeFleet
import BasculeModel

/// An app's release: what it is built from, under a digest of all of it.
extension Compilation {
    mutating func release(
        of name: AppName, _ app: App, user: String, root: String, on node: NodeName
    ) throws -> ReleaseSpec {
        guard let archive = context.archives[name] else {
            throw BasculeError(
                .invalidInput, "the source of app \(name) was not packed", at: place("apps.\(name).source"),
                hint: "the source must be a folder or an archive that this machine can read")
        }
        let env = try environment(app.env, "apps.\(name).env", on: node)
        let buildEnv = try environment(app.buildEnv, "apps.\(name).buildEnv", on: node)
        let build = app.build.map { ShellCommand.line($0.words) }
        let recipe = context.digest(
            ReleaseDigest.recipe(build: build, buildEnv: buildEnv, env: env, start: app.start.words))
        let release = context.digest(ReleaseSpec.canonical(archive: archive.digest, recipe: recipe))
        return ReleaseSpec(
            app: name.rawValue, release: release, archive: .blob(archive.digest, size: archive.size),
            build: build, buildEnv: buildEnv, env: env, user: user, root: root, keep: app.keep,
            recipe: recipe)
    }

    private mutating func environment(
        _ values: [String: EnvValue], _ path: String, on node: NodeName
    ) throws -> [String: Content] {
        var result: [String: Content] = [:]
        for (name, value) in values {
            result[name] = try content(value, for: Consumer(node: node, path: "\(path).\(name)"))
        }
        return result
    }
}

/// The bytes over which the digest of a release's recipe is taken: unambiguous, and the same on every machine.
enum ReleaseDigest {
    static func recipe(
        build: [String], buildEnv: [String: Content], env: [String: Content], start: [String]
    ) -> [UInt8] {
        var out: [UInt8] = []
        // Length before text: no two lists of texts give the same bytes.
        func put(_ text: String) { out += Array("\(text.utf8.count):\(text)".utf8) }
        func put(_ list: [String]) {
            put("\(list.count)")
            list.forEach { put($0) }
        }
        // A secret counts by its name: its value is not known here.
        func put(_ map: [String: Content]) {
            put("\(map.count)")
            for (name, content) in map.sorted(by: { $0.key < $1.key }) {
                put(name)
                guard case .parts(let parts) = content else { continue }
                put(
                    parts.flatMap { part in
                        switch part {
                        case .text(let text): ["text", text]
                        case .secret(let name): ["secret", name.rawValue]
                        }
                    })
            }
        }
        put("bascule recipe 1")
        put(build)
        put(buildEnv)
        put(env)
        put(start)
        return out
    }
}
