import BasculeFleet

/// The numbers that follow from a node's size. The templates name the source of each formula.
struct PostgreSQLTuning {
    var memoryMiB: Int
    var cpus: Int
    var maxConnections: Int
    var sharedBuffersMiB: Int
    var disk: PostgreSQL.Disk
    /// The fleet file's own values.
    private var declaredWorkMemKiB, declaredMaintenanceKiB, declaredAutovacuumKiB: Int?
    private var autovacuumWorkers: Int

    /// - Parameters:
    ///   - memory: Bytes.
    ///   - pools: Server connections that PgBouncer may open in all; nil without it.
    ///   - settings: Overrides, as far as the numbers here follow from them; what PostgreSQL would not read counts for
    ///     nothing (its own check refuses it before a reload).
    init(
        memory: Int, cpus: Int, pools: Int?, disk: PostgreSQL.Disk = .ssd, settings: [String: String] = [:]
    ) {
        memoryMiB = max(256, memory >> 20)
        self.cpus = cpus
        self.disk = disk
        // 20 beside the pools: superuser_reserved_connections (3), migrations, backups, monitoring, a person.
        let own = Dictionary(settings.map { ($0.key.lowercased(), $0.value) }) { $1 }
        let declared = own["max_connections"].flatMap { Int($0) }.map { min(max($0, 1), 262_143) }
        maxConnections = declared ?? max(100, (pools ?? 0) + Self.besidePools)
        sharedBuffersMiB =
            own["shared_buffers"].flatMap { Self.kibibytes($0, unit: 8) }.map { $0 >> 10 } ?? memoryMiB / 4
        declaredWorkMemKiB = own["work_mem"].flatMap { Self.kibibytes($0, unit: 1) }
        declaredMaintenanceKiB = own["maintenance_work_mem"].flatMap { Self.kibibytes($0, unit: 1) }
        // -1: as much as maintenance_work_mem.
        declaredAutovacuumKiB = own["autovacuum_work_mem"].flatMap {
            $0.filter { !$0.isWhitespace } == "-1" ? Int.max : Self.kibibytes($0, unit: 1)
        }
        autovacuumWorkers = own["autovacuum_max_workers"].flatMap { Int($0) }.map { min(max($0, 1), 262_143) } ?? 3
    }

    /// Connections that PgBouncer must leave to everybody else.
    static let besidePools = 20

    var effectiveCacheMiB: Int { memoryMiB * 3 / 4 }
    var workMemKiB: Int {
        declaredWorkMemKiB ?? max(4096, max(0, memoryMiB - sharedBuffersMiB) * 1024 / (maxConnections * 3))
    }
    var maintenanceMemMiB: Int { declaredMaintenanceKiB.map { max(1, $0 >> 10) } ?? min(2048, max(64, memoryMiB / 16)) }
    /// Three workers together take what one command by hand may.
    var autovacuumMemMiB: Int {
        guard let declaredAutovacuumKiB else { return max(32, maintenanceMemMiB / 3) }
        return declaredAutovacuumKiB == Int.max ? maintenanceMemMiB : max(1, declaredAutovacuumKiB >> 10)
    }
    var maxWalMiB: Int { min(8192, max(1024, memoryMiB / 2)) }
    var minWalMiB: Int { maxWalMiB / 4 }
    var parallelPerGather: Int { max(1, min(4, cpus / 2)) }
    /// How many statements the processors can run at once (wiki.postgresql.org, Number_Of_Database_Connections).
    var active: Int { min(maxConnections, 2 * cpus + 1) }

    /// The share of the node's memory, by what may be in use at once: the shared buffers, one maintenance command, the
    /// autovacuum workers, two sorts or hashes of each statement that runs, and 3 MiB of its own for each connection
    /// (measured: 2 to 4 with a shop's catalog in its caches).
    var reservedMiB: Int {
        sharedBuffersMiB + maintenanceMemMiB + autovacuumWorkers * autovacuumMemMiB + active * 2 * workMemKiB / 1024
            + 3 * maxConnections
    }

    var reservedWhy: String {
        """
        shared_buffers \(sharedBuffersMiB) MiB + maintenance_work_mem \(maintenanceMemMiB) MiB + \(autovacuumWorkers) autovacuum workers × \
        \(autovacuumMemMiB) MiB + \(active) running statements × 2 × work_mem \(workMemKiB) KiB + \
        \(maxConnections) connections × 3 MiB
        """
    }

    var variables: [String: Variable] {
        [
            "memoryMiB": .integer(memoryMiB), "cpus": .integer(cpus), "maxConnections": .integer(maxConnections),
            "sharedBuffersMiB": .integer(sharedBuffersMiB), "effectiveCacheMiB": .integer(effectiveCacheMiB),
            "workMemKiB": .integer(workMemKiB), "maintenanceMemMiB": .integer(maintenanceMemMiB),
            "autovacuumMemMiB": .integer(autovacuumMemMiB), "maxWalMiB": .integer(maxWalMiB),
            "minWalMiB": .integer(minWalMiB), "parallelPerGather": .integer(parallelPerGather),
            "maxWorkerProcesses": .integer(max(8, cpus + 4)), "ssd": .flag(disk == .ssd),
        ]
    }

    /// A memory setting as postgresql.conf writes it (manual 20.1.1); nil for what is none. At most 4 TiB.
    /// - Parameter unit: kibibytes that a bare number counts: the block of 8 for shared_buffers, else 1.
    static func kibibytes(_ text: String, unit: Int) -> Int? {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        guard let number = Double(digits), number >= 0 else { return nil }
        let units = [
            "": Double(unit), "B": 1.0 / 1024, "kB": 1, "MB": 1024, "GB": 1_048_576, "TB": 1_073_741_824,
        ]
        return units[text.dropFirst(digits.count).filter { !$0.isWhitespace }].map {
            Int(min(number * $0, 4_294_967_296))
        }
    }
}
