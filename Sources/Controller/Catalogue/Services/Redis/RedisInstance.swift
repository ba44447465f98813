import BasculeFleet
import BasculeModel

/// One of the two instances, as its files need it.
struct RedisInstance {
    var purpose: RedisPurpose
    var port: Int
    var maxMemory: Int64
    var policy: String
    var allowed: [String]
    /// nil where nothing is written to disk.
    var fsync: String?
    var text: String

    var name: String { purpose.rawValue }
    var unit: String { "redis-server@\(name).service" }
    /// The apps' password.
    var password: SecretName { SecretName("generated.redis.\(name)") }
    var folder: String { "/var/lib/redis/\(name)" }

    func file(_ suffix: String) -> String { "/etc/redis/redis-\(name)\(suffix)" }

    /// The login of apps, of Bascule itself (migrations, reloads, a person as root) and of the exporter.
    static let app = "app"
    static let admin = "bascule"
    static let monitor = "monitor"
    static let adminPassword: SecretName = "generated.redis.bascule"
    static let monitorPassword: SecretName = "generated.redis.monitor"

    static func all(_ service: Redis?) -> [RedisInstance] {
        var list: [RedisInstance] = []
        if let cache = service?.cache {
            // Emptying one's own cache harms nobody: it is filled again.
            list.append(
                RedisInstance(
                    purpose: .cache, port: cache.port, maxMemory: cache.maxMemory.bytes, policy: cache.policy.rawValue,
                    allowed: ["flushdb"] + cache.allow.filter { $0 != "flushdb" }, fsync: nil,
                    text: "which may evict keys"))
        }
        if let durable = service?.durable {
            list.append(
                RedisInstance(
                    purpose: .durable, port: durable.port, maxMemory: durable.maxMemory.bytes, policy: "noeviction",
                    allowed: durable.allow, fsync: durable.fsync.rawValue,
                    text: "which keeps every key (queues, sessions)"))
        }
        return list
    }

    /// `maxmemory` bounds the data. Beside it stand the allocator's fragmentation, a tenth; while the append-only file is
    /// rewritten the pages that change meanwhile, up to as much again, counted as half (redis.io, "Redis persistence");
    /// and 16 MiB for the program and its clients' buffers.
    var reservedBytes: Int { Int(maxMemory) * (fsync == nil ? 11 : 16) / 10 + (16 << 20) }

    var reservedWhy: String {
        let size = "maxmemory \(maxMemory >> 20) MiB"
        return fsync == nil
            ? "\(size) × 1.1 (fragmentation) + 16 MiB"
            : "\(size) × 1.6 (fragmentation, pages copied while the file is rewritten) + 16 MiB"
    }

    var variables: [String: Variable] {
        func secret(_ name: SecretName) -> Variable { .content(.parts([.secret(name)])) }
        return [
            "instance": .text(name), "purpose": .text(text), "port": .integer(port),
            "maxMemoryBytes": .text("\(maxMemory)"), "policy": .text(policy), "durable": .flag(fsync != nil),
            "fsync": .text(fsync ?? "no"), "everyWrite": .flag(fsync == "always"),
            "allowed": .texts(allowed), "app": .text(Self.app), "admin": .text(Self.admin),
            "monitor": .text(Self.monitor), "appPassword": secret(password),
            "adminPassword": secret(Self.adminPassword), "monitorPassword": secret(Self.monitorPassword),
        ]
    }
}
