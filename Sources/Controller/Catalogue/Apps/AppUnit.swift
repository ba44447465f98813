import BasculeFleet
import BasculeModel

/// The systemd template of an app's instances.
extension Compilation {
    /// - Parameters:
    ///   - what: what one unit is, e.g. `one instance`.
    ///   - start: the command line, as systemd reads it.
    ///   - memory: bytes that all processes of one unit may use together.
    ///   - environment: assignments beside those of every app.
    ///   - describedBy: the content of a file that the start command reads; a change of it rolls the instances.
    func appUnit(
        _ name: AppName, _ app: App, user: String, root: String, on node: NodeName, what: String = "one instance",
        start: String, memory: Int, environment: [String] = [], describedBy: Content? = nil, logs: Bool = false
    ) throws -> Content {
        let variable = name.rawValue.uppercased().replacing("-", with: "_") + "_INSTANCE"
        return try render(
            "app.service",
            [
                "app": .text(name.rawValue), "unit": .text("bascule-\(name)"), "user": .text(user), "root": .text(root),
                "node": .text(node.rawValue), "instanceVariable": .text(variable), "what": .text(what),
                "after": .text(boundUnits(app, on: node).joined(separator: " ")), "start": .text(start),
                "environment": .texts(environment), "memoryMiB": .integer(max(16, memory >> 20)), "logs": .flag(logs),
                "isDescribed": .flag(describedBy != nil),
                "digest": .text(describedBy.map { context.digest(Array($0.display.utf8)).rawValue } ?? ""),
                // The app stops by itself after its drain; systemd waits a little longer before it kills.
                "stopSeconds": .integer(Self.wholeSeconds(app.drain) + 5),
                "writable": .texts(writable(user: user, on: node)),
            ])
    }

    /// Folders of the fleet file that belong to the app's user: what it may write.
    private func writable(user: String, on node: NodeName) -> [String] {
        var paths: Set<String> = []
        for resource in fleet.resources where resource.on.nodes(in: topology).contains(node) {
            if case .directory(let spec) = resource.kind, spec.owner == user, spec.state == .present {
                paths.insert(spec.path)
            }
        }
        for case .files(let source) in fleet.migration?.sources.values.map({ $0 }) ?? [] {
            if (source.owner ?? soleAppUser) == user { paths.insert(source.to) }
        }
        return paths.sorted()
    }
}

/// Command lines as systemd reads them (systemd.service(5), "COMMAND LINES").
enum SystemdCommand {
    /// - Parameter directory: What a relative program path is relative to; a bare name is looked up by systemd.
    static func line(_ words: [String], directory: String) -> String {
        words.enumerated().map { index, word in
            let isRelative = index == 0 && word.contains("/") && !word.hasPrefix("/")
            return quote(isRelative ? "\(directory)/\(word.hasPrefix("./") ? String(word.dropFirst(2)) : word)" : word)
        }.joined(separator: " ")
    }

    static func quote(_ word: String) -> String {
        let escaped = word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("$", with: "$$")
            .replacing("%", with: "%%").replacing("\n", with: "\\n")
        let isPlain =
            !word.isEmpty
            && word.allSatisfy { ($0.isASCII && ($0.isLetter || $0.isNumber)) || "-_./:=,@+".contains($0) }
        return isPlain ? word : "\"\(escaped)\""
    }
}

/// Words for the shell in which the agent runs build lines.
enum ShellCommand {
    static func line(_ words: [String]) -> String { words.map(quote).joined(separator: " ") }

    static func quote(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.allSatisfy { ($0.isASCII && ($0.isLetter || $0.isNumber)) || "-_./:,@+=".contains($0) }
        return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
