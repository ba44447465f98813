import BasculeFleet
import BasculeModel

/// `runtime: docker`: the same spec as a compose file, one container a port, each below a unit of its own.
extension Compilation {
    mutating func docker(_ name: AppName, _ app: App, root: String, on node: NodeName) throws -> AppRuntime {
        let origin = "app \(name)"
        let daemon = try dockerDaemon(on: node)
        let memory = Int(app.memory.bytes)
        let image = app.image ?? "node:\(app.node ?? release(node).nodejs)-bookworm-slim"
        // Before the instances are rolled: their health check does not wait for a download.
        let pull = Resource.command(
            CommandSpec(
                "image-\(name)", command: ["docker", "pull", image], unless: ["docker", "image", "inspect", image],
                timeout: 900))
        try add(pull, on: node, requires: [daemon], origin: origin)
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
            unit: unit, memory: (memory + Self.dockerClient) * app.instances,
            why: "\(app.instances) containers of \(memory >> 20) MiB, their mem_limit, and a client of Docker for each",
            needs: [Resource.file(file).id(on: node), daemon, pull.id(on: node)])
    }

    /// docker-compose beside its container, and containerd's shim (measured as PSS).
    private static var dockerClient: Int { 48 << 20 }

    /// Docker itself, once a node.
    private mutating func dockerDaemon(on node: NodeName) throws -> ResourceID {
        let origin = "apps with runtime docker"
        let settings = FileSpec("/etc/docker/daemon.json", try render("docker-daemon.json", [:]))
        let unit = Resource.unit(UnitSpec("docker.service", restartOn: [settings.path]))
        guard nodes[node]?.all.contains(where: { $0.id == unit.id(on: node) }) != true else { return unit.id(on: node) }
        try packages(release(node).docker, on: node, origin: origin)
        try keepFromUnattendedUpgrades("docker", "(docker\\.io|containerd|runc)", on: node, origin: origin)
        try add(.file(settings), on: node, origin: origin)
        try add(unit, on: node, origin: origin)
        reserve(128 << 20, for: "docker", on: node, why: "dockerd and containerd: 128 MiB")
        return unit.id(on: node)
    }
}
