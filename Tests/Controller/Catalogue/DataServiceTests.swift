import BasculeCrypto
import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// PostgreSQL, PgBouncer and Redis: numbers, files and refusals.
@Suite struct DataServiceTests {
    private func fleet(_ services: String, _ more: String = "") -> String {
        """
        fleet: tiny
        nodes: {vps1: {address: 192.0.2.1}}
        topologies: {only: {vps1: [database, cache, web, app]}}
        services: {\(services)}
        \(more)

        """
    }

    private func line(_ error: BasculeError?) -> Int? {
        if case .file(_, let line, _)? = error?.place { line } else { nil }
    }

    // MARK: - PostgreSQL

    @Test(arguments: [
        // memory, processors, pools: shared_buffers, effective_cache_size, work_mem, maintenance, autovacuum, WAL, connections
        (1 << 30, 1, nil as Int?, [256, 768, 4096, 64, 32, 1024, 100]),
        (2 << 30, 2, nil, [512, 1536, 5242, 128, 42, 1024, 100]),
        (4 << 30, 2, 11, [1024, 3072, 10485, 256, 85, 2048, 100]),
        (64 << 30, 16, 200, [16384, 49152, 76260, 2048, 682, 8192, 220]),
    ])
    func tuning(_ memory: Int, _ cpus: Int, _ pools: Int?, _ expected: [Int]) {
        let it = PostgreSQLTuning(memory: memory, cpus: cpus, pools: pools)
        #expect(
            [
                it.sharedBuffersMiB, it.effectiveCacheMiB, it.workMemKiB, it.maintenanceMemMiB, it.autovacuumMemMiB,
                it.maxWalMiB, it.maxConnections,
            ] == expected)
        // What the server may use at once leaves room for the kernel's cache, whatever the size of the node.
        #expect(it.reservedMiB * 3 < memory >> 19 || memory < 2 << 30, "\(it.reservedMiB)")
    }

    @Test(arguments: [
        ("16MB", 16384), ("4kB", 4), ("1 GB", 1 << 20), ("64", 64), ("1.5MB", 1536), ("2048B", 2), ("1TB", 1 << 30),
        ("999999999999TB", 1 << 32), ("x", nil), ("", nil), ("-1", nil), ("64mb", nil),
    ])
    func declaredMemoryIsRead(_ text: String, _ expected: Int?) {
        #expect(PostgreSQLTuning.kibibytes(text, unit: 1) == expected)
    }

    @Test func declaredSettingsCountInTheShare() {
        let plain = PostgreSQLTuning(memory: 4 << 30, cpus: 2, pools: nil)
        let own = PostgreSQLTuning(
            memory: 4 << 30, cpus: 2, pools: nil,
            settings: ["shared_buffers": "512MB", "max_connections": "40", "work_mem": "8MB"])
        #expect(own.maxConnections == 40 && own.sharedBuffersMiB == 512 && own.workMemKiB == 8192)
        #expect(plain.reservedMiB - own.reservedMiB == 512 + 60 * 3 + 5 * 2 * plain.workMemKiB / 1024 - 5 * 2 * 8)
    }

    /// Each of them alone, by what it adds to or takes from the share of a node of 4 GiB with 2 processors: 1024 MiB of
    /// buffers, 256 and 3 × 85 of maintenance, 5 × 2 × 10,485 KiB, 100 × 3 MiB.
    @Test(arguments: [
        ("shared_buffers", "2GB", 1024 - 34), ("shared_buffers", "65536", -512 + 17),
        ("Shared_Buffers", "2GB", 1024 - 34),
        ("maintenance_work_mem", "1GB", 768 + 3 * (341 - 85)), ("maintenance_work_mem", "65536", -192 - 3 * (85 - 32)),
        ("autovacuum_work_mem", "512MB", 3 * (512 - 85)), ("autovacuum_work_mem", "-1", 3 * (256 - 85)),
        ("autovacuum_max_workers", "6", 3 * 85), ("work_mem", "64MB", 640 - 102), ("work_mem", "nonsense", 0),
        ("max_connections", "300", 600 - 102 + 40), ("random_page_cost", "2", 0),
    ])
    func eachSettingCountsInTheShare(_ name: String, _ value: String, _ difference: Int) {
        let plain = PostgreSQLTuning(memory: 4 << 30, cpus: 2, pools: nil)
        let own = PostgreSQLTuning(memory: 4 << 30, cpus: 2, pools: nil, settings: [name: value])
        #expect(own.reservedMiB - plain.reservedMiB == difference)
    }

    // MARK: - Another version's data

    private func facts(_ clusters: [NodeFacts.PostgresCluster]?, _ codename: String = "bookworm") -> NodeFacts {
        NodeFacts(
            hostname: "h", machineID: "m", system: "debian", systemVersion: "12", codename: codename,
            systemName: "Debian", kernel: "6.1", architecture: "x86_64", processors: 2, memory: 4 << 30,
            memoryAvailable: 1, disks: [], addresses: [], defaultInterface: nil, services: nil, packageCount: 0,
            packages: [:], bootID: "b", uptime: 1, clock: 1, postgresClusters: clusters)
    }

    private func cluster(_ version: Int, _ name: String = "main", holdsData: Bool = true) -> NodeFacts.PostgresCluster {
        .init(version: version, name: name, folder: "/var/lib/postgresql/\(version)/\(name)", holdsData: holdsData)
    }

    private func refusal(
        _ keys: String, _ clusters: [NodeFacts.PostgresCluster]?, _ codename: String = "bookworm"
    ) throws -> BasculeError? {
        let folder = try CatalogueFolder()
        let parsed = try FleetFile.parse(text: fleet("postgresql: {\(keys)}"), path: folder.path + "/fleet.yaml")
        let context = CompileContext(fleet: parsed.fleet, positions: parsed.positions, digest: { Digest(of: $0) })
        do {
            try Catalogue.checkCluster("vps1", facts(clusters, codename), context)
            // Nobody's business on a node without the role.
            try Catalogue.checkCluster("vps2", facts([cluster(9)]), context)
            return nil
        } catch { return error as? BasculeError }
    }

    @Test func anotherVersionBesideDataIsRefused() throws {
        for keys in ["version: 16", "version: 17"] {
            let error = try #require(try refusal(keys, [cluster(15)]))
            #expect(error.code == .catalogueCluster && error.message.contains("PostgreSQL 15"), "\(error)")
            #expect(error.cause?.contains("/var/lib/postgresql/15/main") == true)
            #expect(error.hint?.contains("version: 15") == true && error.hint?.contains("docs/services") == true)
            guard case .file(_, let line, let column) = error.place else {
                Issue.record("no place: \(error)")
                continue
            }
            #expect(line == 4 && column == 25, "where the version stands, not \(line):\(column)")
        }
        // Nothing declared, and the distribution was upgraded underneath.
        let moved = try #require(try refusal("", [cluster(15)], "trixie"))
        #expect(moved.message.contains("version 17") && line(moved) == 4, "\(moved)")
        // Backwards, and with the new cluster there already but empty.
        #expect(try refusal("version: 15", [cluster(17)])?.message.contains("PostgreSQL 17") == true)
        #expect(try refusal("version: 17", [cluster(15), cluster(17, holdsData: false)]) != nil)
    }

    @Test func dataOfTheDeclaredVersionAndNoDataAreLeftAlone() throws {
        #expect(try refusal("", []) == nil)
        #expect(try refusal("version: 17", nil) == nil, "an agent that does not tell")
        #expect(try refusal("", [cluster(15)]) == nil)
        #expect(try refusal("version: 16", [cluster(15, holdsData: false)]) == nil)
        #expect(try refusal("version: 16", [cluster(15, "other")]) == nil, "somebody's own")
        #expect(try refusal("version: 17", [cluster(15), cluster(17)]) == nil, "moved; the old one is kept a while")
    }

    @Test func turningDisksArePlannedOtherwise() throws {
        func text(_ disk: String) throws -> String {
            try CatalogueFolder().compile(fleet("postgresql: {disk: \(disk)}")).text(
                "/etc/postgresql/15/main/conf.d/60-bascule.conf")
        }
        #expect(try text("ssd").contains("random_page_cost = 1.1\neffective_io_concurrency = 200\n"))
        #expect(try text("hdd").contains("random_page_cost = 4.0\neffective_io_concurrency = 2\n"))
    }

    @Test(arguments: [
        ("databases: {shop: {}}", "pg_stat_statements"), ("statements: false", ""),
        ("databases: {shop: {extensions: [pg_cron]}}", "pg_stat_statements,pg_cron"),
        (
            "settings: {shared_preload_libraries: \"auto_explain, pg_stat_statements\"}",
            "pg_stat_statements,auto_explain"
        ),
    ])
    func librariesAreMerged(_ keys: String, _ expected: String) throws {
        let text = try CatalogueFolder().compile(fleet("postgresql: {\(keys)}")).text(
            "/etc/postgresql/15/main/conf.d/50-bascule-restart.conf")
        #expect(text.contains("\nshared_preload_libraries = '\(expected)'\n"))
        #expect(text.ranges(of: "shared_preload_libraries").count == 1)
    }

    @Test func statementsCanBeLeftOut() throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {statements: false, databases: {shop: {}}}"))
        #expect(compiled.find("postgresExtension:shop.pg_stat_statements") == nil)
        #expect(!compiled.text("/etc/postgresql/15/main/conf.d/60-bascule.conf").contains("pg_stat_statements"))
    }

    @Test func anotherVersionComesFromPostgreSQLsOwnRepository() throws {
        let compiled = try CatalogueFolder().compile(
            fleet("postgresql: {version: 17, databases: {shop: {extensions: [vector]}}}"))
        guard case .aptRepository(let spec)? = compiled.find("aptRepository:postgresql")?.resource else {
            Issue.record("no repository")
            return
        }
        #expect(spec.uris == ["https://apt.postgresql.org/pub/repos/apt"])
        #expect(spec.suites == ["bookworm-pgdg"] && spec.components == ["main"])
        #expect(spec.key.display.contains("BEGIN PGP PUBLIC KEY BLOCK"))
        #expect(compiled.find("package:postgresql-17") != nil && compiled.find("package:postgresql-17-pgvector") != nil)
        #expect(compiled.unit("postgresql@17-main.service") != nil)
        let own = try CatalogueFolder().compile(fleet("postgresql: {version: 17}")) { $0.releases["vps1"] = .trixie }
        #expect(own.find("aptRepository:postgresql") == nil)
    }

    @Test func aMirrorNeedsItsKey() throws {
        let folder = try CatalogueFolder([
            "keys/a.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "keys/b.asc": "no key",
        ])
        func text(_ key: String) -> String {
            fleet("postgresql: {version: 16, repository: {uri: \"https://mirror.example/\", suite: ./\(key)}}")
        }
        let missing = try #require(try folder.error(text("")))
        #expect(missing.code == .invalidInput && line(missing) == 4 && missing.hint?.contains("key: FILE") == true)
        #expect(try folder.error(text(", key: keys/b.asc"))?.message.contains("no ASCII-armoured") == true)
        guard
            case .aptRepository(let spec)? = try folder.compile(text(", key: keys/a.asc")).find(
                "aptRepository:postgresql")?.resource
        else {
            Issue.record("no repository")
            return
        }
        #expect(spec.suites == ["./"] && spec.components.isEmpty)
    }

    @Test func localesAreMadeBeforeTheServerStarts() throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {databases: {shop: {locale: fr_FR.UTF-8}}}"))
        guard case .command(let spec)? = compiled.find("command:locale.fr_FR.UTF-8")?.resource else {
            Issue.record("no locale")
            return
        }
        #expect(spec.command == ["localedef", "-i", "fr_FR", "-f", "UTF-8", "fr_FR.UTF-8"])
        #expect(
            compiled.find("unit:postgresql@15-main.service")?.requires.contains("vps1/command:locale.fr_FR.UTF-8")
                == true)
    }

    @Test func serverEncryptsWithItsOwnCertificate() throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {}"))
        guard case .certificate(let spec)? = compiled.find("certificate:postgresql")?.resource else {
            Issue.record("no certificate")
            return
        }
        #expect(spec.owner == "postgres")
        let text = compiled.text("/etc/postgresql/15/main/conf.d/60-bascule.conf")
        #expect(
            text.contains("ssl = on\nssl_cert_file = '\(spec.certificatePath)'\nssl_key_file = '\(spec.keyPath)'\n"))
        #expect(compiled.unit("postgresql@15-main.service")?.reloadOn.contains(spec.certificatePath) == true)
    }

    // MARK: - PgBouncer

    @Test(arguments: [(1, 10), (2, 10), (4, 18), (16, 66)])
    func poolsFollowTheProcessors(_ cpus: Int, _ expected: Int) throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {databases: {a: {}, b: {}}}, pgbouncer: {}")) {
            $0.cpus["vps1"] = cpus
        }
        #expect(compiled.text("/etc/pgbouncer/bascule-pools.ini").contains("\ndefault_pool_size = \(expected)\n"))
        let connections = compiled.text("/etc/postgresql/15/main/conf.d/50-bascule-restart.conf")
        #expect(connections.contains("\nmax_connections = \(max(100, 2 * (expected + 1) + 20))\n"))
    }

    @Test func poolsFitIntoDeclaredConnections() throws {
        let text = fleet("postgresql: {databases: {a: {}, b: {}}, settings: {max_connections: 40}}, pgbouncer: {}")
        func size(_ release: DebianRelease) throws -> Bool {
            try CatalogueFolder().compile(text) { $0.releases["vps1"] = release }.text(
                "/etc/pgbouncer/bascule-pools.ini"
            )
            .contains("\ndefault_pool_size = \(release == .trixie ? 4 : 9)\n")
        }
        #expect(try size(.bookworm) && size(.trixie))
    }

    @Test func onlyPgBouncersOwnPasswordIsInItsFiles() throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {databases: {shop: {}}}, pgbouncer: {}"))
        let files = compiled.resources["vps1"]?.filter { $0.id.rawValue.contains("/etc/pgbouncer/") } ?? []
        let secrets = files.reduce(into: Set<SecretName>()) { $0.formUnion($1.resource.secrets) }
        #expect(secrets == ["generated.postgresql.pgbouncer"])
        let requires = try #require(compiled.find("unit:pgbouncer.service")).requires
        #expect(requires.contains("vps1/command:pool-login.shop"))
    }

    @Test func settingsGoWhereTheyTakeEffect() throws {
        let compiled = try CatalogueFolder().compile(
            fleet("postgresql: {}, pgbouncer: {settings: {pkt_buf: 8192, server_idle_timeout: 60}}"))
        #expect(compiled.text("/etc/pgbouncer/pgbouncer.ini").contains("\npkt_buf = 8192\n"))
        #expect(compiled.text("/etc/pgbouncer/bascule-pools.ini").contains("\nserver_idle_timeout = 60\n"))
        let error = try CatalogueFolder().error(fleet("postgresql: {}, pgbouncer: {settings: {pool_mode: statement}}"))
        #expect(error?.code == .invalidInput && line(error) == 4)
    }

    @Test func sessionModeIsWarnedOf() throws {
        let compiled = try CatalogueFolder().compile(fleet("postgresql: {}, pgbouncer: {poolMode: session}"))
        #expect(compiled.warnings.map(\.code) == [.cataloguePooling])
        #expect(line(compiled.warnings.first) == 4)
        #expect(try CatalogueFolder().compile(fleet("postgresql: {}, pgbouncer: {}")).warnings.isEmpty)
    }

    // MARK: - Redis

    @Test func instancesDifferInWhatAppsMay() throws {
        let compiled = try CatalogueFolder().compile(fleet("redis: {cache: {}, durable: {allow: [keys]}}"))
        #expect(compiled.text("/etc/redis/redis-cache.acl").contains("+client|list +flushdb\n"))
        #expect(compiled.text("/etc/redis/redis-durable.acl").contains("+client|list +keys\n"))
        for name in ["cache", "durable"] {
            let unit = try #require(compiled.unit("redis-server@\(name).service"))
            #expect(unit.restartOn == ["/etc/redis/redis-\(name).conf"])
            #expect(unit.reloadOn.contains("/etc/redis/redis-\(name)-limits.conf"))
            #expect(compiled.text("/etc/redis/redis-\(name).acl").hasPrefix("user default reset off\n"))
        }
    }

    @Test func sharesOfMemoryAreNamed() throws {
        let compiled = try CatalogueFolder().compile(
            fleet(
                "postgresql: {databases: {shop: {}}}, pgbouncer: {}, redis: {cache: {maxMemory: 100MiB}, durable: {maxMemory: 100MiB}}"
            ))
        let shares = Dictionary(uniqueKeysWithValues: compiled.memory.map { ($0.service, $0.bytes >> 20) })
        #expect(shares["redis.cache"] == 126 && shares["redis.durable"] == 176)
        #expect(shares["pgbouncer"] == 23)
        #expect(shares["postgresql"] == 512 + 128 + 3 * 42 + 5 * 2 * 5242 / 1024 + 300)
        #expect(compiled.memory.allSatisfy { !$0.why.isEmpty })
    }

    @Test(arguments: [
        // package.json, another file, environment, refused
        (#"{"dependencies": {"bullmq": "5"}}"#, "", "REDIS_URL: !binding redis.cache", true),
        (#"{"dependencies": {"bull": "4"}}"#, "", "REDIS_HOST: !binding redis.cache.host", true),
        (#"{"dependencies": {"redis": "4"}}"#, "", "REDIS_URL: !binding redis.cache", false),
        (#"{"devDependencies": {"bullmq": "5"}}"#, "", "REDIS_URL: !binding redis.cache", false),
        ("{}", "x@1:\n\nbullmq@^5.1:\n  version 5.1\n", "REDIS_URL: !binding redis.cache", true),
        (#"{"dependencies": {"bullmq": "5"}}"#, "", "REDIS_URL: !binding redis.durable", false),
        (
            #"{"dependencies": {"bullmq": "5"}}"#, "",
            "{A_URL: !binding redis.cache, B_URL: !binding redis.durable}", false
        ),
        ("{}", "", "{A_URL: !binding redis.durable, QUEUE_URL: !binding redis.cache}", true),
    ])
    func queuesNeedAnInstanceThatKeeps(_ package: String, _ lock: String, _ env: String, _ refused: Bool) throws {
        let folder = try CatalogueFolder(["shop/package.json": package, "shop/yarn.lock": lock])
        let block = env.hasPrefix("{") ? env : "{\(env)}"
        let app =
            "apps:\n  shop:\n    source: {path: ./shop}\n    start: node server.js\n    port: 3000\n    env: \(block)"
        let error = try folder.error(fleet("redis: {cache: {}, durable: {}}", app))
        #expect((error?.code == .catalogueEviction) == refused, "\(String(describing: error))")
        guard refused else { return }
        #expect(line(error) == 10 && error?.hint?.contains("redis.durable") == true)
        #expect(try folder.error(fleet("redis: {cache: {policy: noeviction}, durable: {}}", app)) == nil)
    }
}
