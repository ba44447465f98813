import BasculeFleet
import BasculeModel

/// `services.redis` on the node with the role `cache`: one process an instance.
extension Compilation {
    static var redisOrigin: String { "service redis" }

    private var instances: [RedisInstance] { RedisInstance.all(fleet.services.redis) }

    mutating func placeRedis() throws {
        guard let node = single(.cache) else { return }
        for instance in instances {
            try packages(["redis-server", "redis-tools"], on: node, origin: Self.redisOrigin)
            try keepFromUnattendedUpgrades("redis", "redis", on: node, origin: Self.redisOrigin)
            for name in [instance.password, RedisInstance.adminPassword, RedisInstance.monitorPassword] {
                try note(name, .generated(length: Self.passwordLength))
            }
            output.redis[instance.purpose] = RedisEndpoint(
                node: node, host: "127.0.0.1", port: instance.port, user: RedisInstance.app,
                password: instance.password, admin: RedisInstance.admin, adminPassword: RedisInstance.adminPassword)
        }
        try checkQueues()
    }

    mutating func finishRedis() throws {
        guard let node = single(.cache), !instances.isEmpty else { return }
        let origin = Self.redisOrigin
        // A fork that writes the data out may use as much again, on paper: with the kernel's guess it fails when memory is
        // short (redis.io, "Redis administration"). PostgreSQL would rather have 2 on a machine of its own
        // ("Linux Memory Overcommit"), which Node.js and Go, who reserve far more than they use, do not start with.
        let overcommit = "vm.overcommit_memory"
        if fleet.services.system?.kernel[overcommit] == nil {
            try add(.sysctl(SysctlSpec(overcommit, "1")), on: node, origin: origin)
        }
        // The package's own instance would hold port 6379 without a password.
        let spare = Resource.unit(UnitSpec("redis-server.service", state: .stopped, enabled: false, masked: true))
        try add(spare, on: node, origin: origin)
        // Nor does its configuration, which asks nobody for a password, wait for somebody who starts it by hand.
        try add(.file(FileSpec("/etc/redis/redis.conf", "", state: .absent)), on: node, origin: origin)
        // Debian's lets the group write there, and whoever may use the sockets is in it.
        let folder = DirectorySpec(
            "/etc/redis", permissions: Permissions(owner: "redis", group: "redis", mode: 0o750))
        try add(.directory(folder), on: node, origin: origin)
        for instance in instances {
            let peers = try peers(.redis(instance.purpose))
            let data = DirectorySpec(
                instance.folder, permissions: Permissions(owner: "redis", group: "redis", mode: 0o750))
            try add(.directory(data), on: node, origin: origin)
            let files = try redisFiles(instance, peers, on: node)
            // Not the group's: whoever may use the socket is in it.
            let owned = Permissions(owner: "redis", group: "redis", mode: 0o600)
            for (path, content) in files {
                try add(.file(FileSpec(path, content, permissions: owned)), on: node, origin: origin)
            }
            let limits = try render("redis-unit.conf", instance.variables)
            let paths = files.map(\.path)
            try add(
                .unit(
                    UnitSpec(
                        instance.unit, dropIns: ["10-bascule.conf": limits], reloadOn: Array(paths.dropFirst()),
                        restartOn: [paths[0]])),
                on: node, requires: [spare.id(on: node), Resource.directory(data).id(on: node)], origin: origin)
            open(instance.port, to: peers, on: node, purpose: "redis \(instance.name)")
            reserve(
                instance.reservedBytes, for: "redis.\(instance.name)", on: node, why: instance.reservedWhy)
            let ping = Content.parts([
                .text("AUTH \(RedisInstance.app) "), .secret(instance.password), .text("\r\nPING\r\n"),
            ])
            try probe(
                "redis.\(instance.name)", on: node,
                .dialogue(host: "127.0.0.1", port: instance.port, exchanges: [.init(send: ping, expect: "+PONG")]),
                unit: instance.unit, origin: origin)
        }
    }

    /// The server's own file, for which it restarts, and those that it takes up while it runs.
    private func redisFiles(
        _ instance: RedisInstance, _ peers: [Peer], on node: NodeName
    ) throws -> [(path: String, content: Content)] {
        var variables = instance.variables
        let listen = ["127.0.0.1", "-::1"] + (try listenAddresses(on: node, peers: peers))
        variables["listen"] = .text(listen.joined(separator: " "))
        return [
            (instance.file(".conf"), try render("redis.conf", variables)),
            (instance.file("-limits.conf"), try render("redis-limits.conf", variables)),
            (instance.file(".acl"), try render("redis-users.acl", variables)),
            (instance.file(".reload"), try render("redis-reload.txt", variables)),
        ]
    }

    /// The unit that apps on the same node start after.
    func redisUnit(_ purpose: RedisPurpose, on node: NodeName) -> String? {
        output.redis[purpose]?.node == node ? "redis-server@\(purpose.rawValue).service" : nil
    }
}
