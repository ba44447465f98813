/// The numbers that follow from a node's size. The templates name the source of each formula.
struct PostgreSQLTuning {
    var memoryMiB: Int
    var cpus: Int
    var maxConnections: Int
    var sharedBuffersMiB: Int

    /// - Parameters:
    ///   - memory: Bytes.
    ///   - pools: Server connections that PgBouncer may open in all; nil without it.
    ///   - settings: Overrides; `max_connections` decides `work_mem`.
    init(memory: Int, cpus: Int, pools: Int?, settings: [String: String] = [:]) {
        memoryMiB = max(256, memory >> 20)
        self.cpus = cpus
        // 20 beside the pools: superuser_reserved_connections (3), migrations, backups, monitoring, a person.
        let declared = settings["max_connections"].flatMap { Int($0) }.map { min(max($0, 1), 262_143) }
        maxConnections = declared ?? max(100, (pools ?? 0) + 20)
        sharedBuffersMiB = memoryMiB / 4
    }

    var effectiveCacheMiB: Int { memoryMiB * 3 / 4 }
    var workMemKiB: Int { max(4096, (memoryMiB - sharedBuffersMiB) * 1024 / (maxConnections * 3)) }
    var maintenanceMemMiB: Int { min(2048, max(64, memoryMiB / 16)) }
    var maxWalMiB: Int { min(8192, max(1024, memoryMiB / 2)) }
    var parallelPerGather: Int { max(1, min(4, cpus / 2)) }

    var variables: [String: Variable] {
        [
            "memoryMiB": .integer(memoryMiB), "cpus": .integer(cpus), "maxConnections": .integer(maxConnections),
            "sharedBuffersMiB": .integer(sharedBuffersMiB), "effectiveCacheMiB": .integer(effectiveCacheMiB),
            "workMemKiB": .integer(workMemKiB), "maintenanceMemMiB": .integer(maintenanceMemMiB),
            "maxWalMiB": .integer(maxWalMiB), "parallelPerGather": .integer(parallelPerGather),
            "maxWorkerProcesses": .integer(max(8, cpus + 4)),
        ]
    }
}
