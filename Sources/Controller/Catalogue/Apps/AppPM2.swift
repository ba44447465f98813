import BasculeFleet
import BasculeModel

/// `runtime: pm2`: PM2's cluster mode below systemd. `pm2 reload` is not used: it takes the old worker away after 3 s
/// even where the new one never listened. The gate stands outside: a set of workers is replaced while another serves.
extension Compilation {
    /// Resident memory of `pm2-runtime` itself beside its workers.
    private static var pm2Memory: Int { 64 << 20 }

    mutating func pm2(_ name: AppName, _ app: App, user: String, root: String, on node: NodeName) throws -> AppRuntime {
        let origin = "app \(name)"
        let program = try pm2Program(name, app, on: node)
        let sets = AppRuntime.workers(app)
        let ecosystem = try ecosystem(name, app, root: root, sets: sets)
        let file = FileSpec("\(root)/ecosystem.config.js", ecosystem)
        try add(.file(file), on: node, origin: origin)
        try packages(["logrotate"], on: node, origin: origin)
        let rotation = FileSpec(
            "/etc/logrotate.d/bascule-\(name)",
            try render("app-logrotate", ["unit": .text("bascule-\(name)"), "user": .text(user)]))
        try add(.file(rotation), on: node, origin: origin)
        let worker = Int(app.memory.bytes)
        let largest = sets.map(\.count).max() ?? 1
        let start = ["node", "\(program.folder)/bin/pm2-runtime", "start", file.path]
        let unit = try appUnit(
            name, app, user: user, root: root, on: node, what: "a set of workers under PM2",
            start: SystemdCommand.line(start, directory: root), memory: worker * largest + Self.pm2Memory,
            environment: [
                "PM2_HOME=/var/lib/bascule-\(name)/pm2-%i", "PM2_KILL_SIGNAL=SIGTERM", "PM2_DISABLE_VERSION_CHECK=true",
            ], describedBy: ecosystem, logs: true)
        return AppRuntime(
            unit: unit, memory: worker * app.instances + Self.pm2Memory * sets.count,
            why: "\(app.instances) workers of \(worker >> 20) MiB, and PM2 itself \(sets.count) times",
            needs: [Resource.file(file).id(on: node)] + program.needs)
    }

    /// Where PM2 is on the node, and what brings it there.
    private mutating func pm2Program(_ name: AppName, _ app: App, on node: NodeName) throws -> (
        folder: String, needs: [ResourceID]
    ) {
        let origin = "app \(name)"
        switch app.pm2 {
        case .path(let folder): return (folder, [])
        case .npm(let version):
            try packages(hasNodePackageManager(app, on: node) ? [] : ["npm"], on: node, origin: origin)
            let home = "/usr/local/lib/bascule-pm2-\(version)"
            let folder = "\(home)/node_modules/pm2"
            let command = Resource.command(
                CommandSpec(
                    "pm2-\(version)",
                    command: [
                        "npm", "install", "--prefix", home, "--no-audit", "--no-fund", "--ignore-scripts",
                        "--omit=dev", "pm2@\(version)",
                    ], unless: ["test", "-e", "\(folder)/bin/pm2-runtime"]))
            try add(command, on: node, origin: origin)
            return (folder, [command.id(on: node)])
        case .tarball(let path):
            let content = try upload(path)
            guard case .blob(let digest, _) = content else { return (path, []) }
            let home = "/usr/local/lib/bascule-pm2-\(digest.rawValue.prefix(12))"
            let archive = Resource.file(FileSpec("\(home)/pm2.tar", content))
            try add(.directory(DirectorySpec(home)), on: node, origin: origin)
            try add(archive, on: node, origin: origin)
            let command = Resource.command(
                CommandSpec(
                    "pm2-\(digest.rawValue.prefix(12))",
                    command: [
                        "tar", "--extract", "--file", "\(home)/pm2.tar", "--directory", home, "--no-same-owner",
                    ], unless: ["test", "-e", "\(home)/node_modules/pm2/bin/pm2-runtime"]))
            try add(command, on: node, requires: [archive.id(on: node)], origin: origin)
            return ("\(home)/node_modules/pm2", [command.id(on: node)])
        }
    }

    /// NodeSource's nodejs has npm inside.
    private func hasNodePackageManager(_ app: App, on node: NodeName) -> Bool {
        app.node.map { $0 != release(node).nodejs } ?? false
    }

    func ecosystem(_ name: AppName, _ app: App, root: String, sets: [(port: Int, count: Int)]) throws -> Content {
        let script = try NodeScript(app.start.words, at: place("apps.\(name).start"))
        let drain = app.drain.components
        return try render(
            "ecosystem.config.js",
            [
                "app": .text(JavaScript.quote(name.rawValue)), "cwd": .text(JavaScript.quote("\(root)/current/app")),
                "script": .text(JavaScript.quote(script.path)), "arguments": .text(JavaScript.list(script.arguments)),
                "nodeArguments": .text(JavaScript.list(script.options)),
                "memory": .text(JavaScript.quote("\(max(16, app.memory.bytes >> 20))M")),
                "killMilliseconds": .integer(Int(drain.seconds * 1000 + drain.attoseconds / 1_000_000_000_000_000)),
                "logs": .text(JavaScript.quote("/var/log/bascule-\(name)/")),
                "sets": .list(sets.map { .map(["port": .integer($0.port), "workers": .integer($0.count)]) }),
            ])
    }
}

/// A start command as PM2's cluster mode can run it: a script of Node.js.
struct NodeScript {
    var path: String
    var options: [String] = []
    var arguments: [String] = []

    /// - Throws: `invalid-input` for what is no Node.js script.
    init(_ words: [String], at place: Place) throws {
        var rest = words[...]
        if rest.first == "node" || rest.first == "/usr/bin/node" {
            rest = rest.dropFirst()
            let withValue = ["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"]
            while let word = rest.first, word.hasPrefix("-") {
                options.append(word)
                rest = rest.dropFirst()
                if withValue.contains(word), let value = rest.first {
                    options.append(value)
                    rest = rest.dropFirst()
                }
            }
        }
        guard let script = rest.first, [".js", ".mjs", ".cjs"].contains(where: { script.hasSuffix($0) }) else {
            throw BasculeError(
                .invalidInput, "PM2's cluster mode runs scripts of Node.js, and this is none", at: place,
                hint: "write for example start: node server.js, or runtime: systemd")
        }
        path = script
        arguments = Array(rest.dropFirst())
    }
}

/// Text as JavaScript has it.
enum JavaScript {
    static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case "\u{20}"..."\u{7E}": out.unicodeScalars.append(scalar)
            default:
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return out + "\""
    }

    static func list(_ texts: [String]) -> String { "[\(texts.map(quote).joined(separator: ", "))]" }
}
