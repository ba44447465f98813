import BasculeFleet
import BasculeModel

/// `services.redis` on the node with the role `cache`: one process an instance.
extension Compilation {
    static var redisOrigin: String { "service redis" }

    private struct Instance {
        var purpose: RedisPurpose
        var port: Int
        var maxMemory: Int64
        var policy: String
        var text: String
        var unit: String { "redis-server@\(purpose.rawValue).service" }
        var password: SecretName { SecretName("generated.redis.\(purpose.rawValue)") }
    }

    private var instances: [Instance] {
        guard let service = fleet.services.redis else { return [] }
        var list: [Instance] = []
        if let cache = service.cache {
            list.append(
                Instance(
                    purpose: .cache, port: cache.port, maxMemory: cache.maxMemory.bytes, policy: cache.policy.rawValue,
                    text: "which may evict keys"))
        }
        if let durable = service.durable {
            list.append(
                Instance(
                    purpose: .durable, port: durable.port, maxMemory: durable.maxMemory.bytes, policy: "noeviction",
                    text: "which keeps every key (queues, sessions)"))
        }
        return list
    }

    mutating func placeRedis() throws {
        guard let node = single(.cache) else { return }
        for instance in instances {
            try packages(["redis-server"], on: node, origin: Self.redisOrigin)
            try keepFromUnattendedUpgrades("redis", "redis", on: node, origin: Self.redisOrigin)
            try note(instance.password, .generated(length: Self.passwordLength))
            output.redis[instance.purpose] = RedisEndpoint(
                node: node, host: "127.0.0.1", port: instance.port, user: nil, password: instance.password)
        }
    }

    mutating func finishRedis() throws {
        guard let node = single(.cache), !instances.isEmpty else { return }
        let origin = Self.redisOrigin
        let owned = Permissions(owner: "redis", group: "redis", mode: 0o640)
        // The package's own instance would hold port 6379 without a password.
        let spare = Resource.unit(UnitSpec("redis-server.service", state: .stopped, enabled: false, masked: true))
        try add(spare, on: node, origin: origin)
        for instance in instances {
            let name = instance.purpose.rawValue
            let peers = try peers(.redis(instance.purpose))
            let path = "/etc/redis/redis-\(name).conf"
            let data = DirectorySpec(
                "/var/lib/redis/\(name)", permissions: Permissions(owner: "redis", group: "redis", mode: 0o750))
            let listen = ["127.0.0.1", "-::1"] + (try listenAddresses(on: node, peers: peers))
            let content = try render(
                "redis.conf",
                [
                    "instance": .text(name), "purpose": .text(instance.text),
                    "listen": .text(listen.joined(separator: " ")), "port": .integer(instance.port),
                    "password": .content(.parts([.secret(instance.password)])),
                    "maxMemoryBytes": .text("\(instance.maxMemory)"), "policy": .text(instance.policy),
                    "durable": .flag(instance.purpose == .durable),
                ])
            try add(.directory(data), on: node, origin: origin)
            try add(.file(FileSpec(path, content, permissions: owned)), on: node, origin: origin)
            try add(
                .unit(UnitSpec(instance.unit, restartOn: [path])), on: node,
                requires: [spare.id(on: node), Resource.directory(data).id(on: node)], origin: origin)
            open(instance.port, to: peers, on: node, purpose: "redis \(name)")
            let ping = Content.parts([.text("AUTH "), .secret(instance.password), .text("\r\nPING\r\n")])
            try probe(
                "redis.\(name)", on: node,
                .dialogue(host: "127.0.0.1", port: instance.port, exchanges: [.init(send: ping, expect: "+PONG")]),
                unit: instance.unit, origin: origin)
        }
    }

    /// The unit that apps on the same node start after.
    func redisUnit(_ purpose: RedisPurpose, on node: NodeName) -> String? {
        output.redis[purpose]?.node == node ? "redis-server@\(purpose.rawValue).service" : nil
    }
}
