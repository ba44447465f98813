import BasculeFleet
import BasculeModel

/// `runtime: docker`: the same spec as a compose file, one container a port, each below a unit of its own.
extension Compilation {
    mutating func docker(_ name: AppName, _ app: App, root: String, on node: NodeName) throws -> AppRuntime {
        let origin = "app \(name)"
        try packages(["docker.io", "docker-compose"], on: node, origin: origin)
        let memory = Int(app.memory.bytes)
        let image = app.image ?? "node:\(app.node ?? release(node).nodejs)-bookworm-slim"
        let compose = try render(
            "compose.yaml",
            [
                "app": .text(name.rawValue), "image": .text(JavaScript.quote(image)),
                // A flow sequence of YAML 1.2 is a list of JSON; a dollar sign is compose's own.
                "command": .text(JavaScript.list(app.start.words.map { $0.replacing("$", with: "$$") })),
                "root": .text(root), "memoryMiB": .integer(max(16, memory >> 20)),
                "stopSeconds": .integer(Self.wholeSeconds(app.drain)),
                "variables": .texts(app.env.keys.sorted()),
            ])
        let file = FileSpec("\(root)/compose.yaml", compose)
        try add(.file(file), on: node, origin: origin)
        let unit = try render(
            "app-docker.service",
            [
                "app": .text(name.rawValue), "root": .text(root), "node": .text(node.rawValue),
                "after": .text(boundUnits(app, on: node).joined(separator: " ")),
                "digest": .text(context.digest(Array(compose.display.utf8)).rawValue),
                "drain": .integer(Self.wholeSeconds(app.drain)),
                "stopSeconds": .integer(Self.wholeSeconds(app.drain) + 10),
            ])
        return AppRuntime(
            unit: unit, memory: memory * app.instances,
            why: "\(app.instances) containers of \(memory >> 20) MiB, their mem_limit",
            needs: [Resource.file(file).id(on: node)])
    }
}
