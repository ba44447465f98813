import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// The example shop: everything that is to be there, and nothing else.
@Suite struct ExampleTests {
    let compiled: Compiled

    init() throws {
        compiled = try CatalogueFolder.compile(try FleetFile.parse(path: CatalogueFolder.example)) {
            $0.addresses = ["saas": "10.9.0.2", "vps1": "10.9.0.3"]
        }
    }

    @Test func onlyTheNewNodeGetsResources() {
        #expect(compiled.resources.keys.sorted() == ["vps1"])
    }

    @Test func resourcesAreTheseAndNoOthers() throws {
        let ids = try #require(compiled.resources["vps1"]).map { String($0.id.rawValue.dropFirst("vps1/".count)) }
        #expect(ids == expectedIDs.split(separator: "\n").map(String.init).sorted())
    }

    @Test func everythingRequiredIsThere() throws {
        let list = try #require(compiled.resources["vps1"])
        let ids = Set(list.map(\.id))
        for item in list {
            #expect(item.requires.filter { !ids.contains($0) } == [], "\(item.id)")
            #expect(!item.requires.contains(item.id))
            #expect(!item.origin.isEmpty)
        }
    }

    @Test func bindingsBecomeLoopbackURLsWithPlaceholders() throws {
        let env = try #require(compiled.release("shop")).env
        #expect(
            env["DATABASE_URL"]?.display == "postgresql://shop:‹secret generated.postgresql.shop›@127.0.0.1:6432/shop")
        #expect(env["REDIS_URL"]?.display == "redis://app:‹secret generated.redis.durable›@127.0.0.1:6380/0")
        #expect(env["SESSION_SECRET"]?.secrets == ["SESSION_SECRET"])
        #expect(env["NODE_ENV"] == "production")
    }

    @Test func secretsSayWhereTheyComeFrom() {
        #expect(
            compiled.secrets == [
                "SESSION_SECRET": .given, "SOURCE_DATABASE_URL": .given, "SOURCE_REDIS_URL": .given,
                "SOURCE_UPLOADS_KEY": .given, "TSIG": .given, "generated.postgresql.pgbouncer": .generated(length: 32),
                "generated.postgresql.shop": .generated(length: 32), "generated.redis.bascule": .generated(length: 32),
                "generated.redis.durable": .generated(length: 32), "generated.redis.monitor": .generated(length: 32),
            ])
        let used = compiled.resources.values.joined().reduce(into: Set<SecretName>()) {
            $0.formUnion($1.resource.secrets)
        }
        #expect(used.isSubset(of: compiled.secrets.keys))
    }

    @Test func passwordsStandInTheServicesFiles() {
        #expect(
            compiled.text("/etc/pgbouncer/userlist.txt")
                == "\"pgbouncer\" \"‹secret generated.postgresql.pgbouncer›\"\n")
        #expect(
            compiled.text("/etc/redis/redis-durable.acl").contains(
                "user app reset on >‹secret generated.redis.durable› ~* &* +@all -@admin -@dangerous"))
        for (path, mode) in [("/etc/pgbouncer/userlist.txt", 0o640), ("/etc/redis/redis-durable.acl", 0o600)] {
            guard case .file(let spec)? = compiled.find("file:\(path)")?.resource else {
                Issue.record("\(path) is missing")
                continue
            }
            #expect(spec.permissions.mode == mode)
        }
    }

    @Test func siteIsDescribedForTheMigration() throws {
        let site = try #require(compiled.sites.first)
        #expect(compiled.sites.count == 1)
        #expect(site.innerURL == "http://127.0.0.1:8081")
        #expect(site.accessLog == "/var/log/nginx/bascule-shop.access.json")
        #expect(site.loginPath == "/api/login")
        #expect(
            site.maintenanceFlags == [
                "/etc/nginx/bascule/maintenance-shop.example", "/etc/nginx/bascule/maintenance-www.shop.example",
            ])
        #expect(
            compiled.databases["shop"]
                == DatabaseEndpoint(node: "vps1", owner: "shop", port: 5432, password: "generated.postgresql.shop"))
        #expect(compiled.redis[.durable]?.port == 6380)
    }

    @Test func onlySSHAndTheWebAreOpen() {
        #expect(compiled.rules() == ["tcp/22", "tcp/80", "tcp/443"])
    }

    @Test func appWaitsForWhatItBinds() throws {
        let app = try #require(compiled.find("app:shop"))
        for id in [
            "unit:pgbouncer.service", "unit:postgresql@15-main.service", "unit:redis-server@durable.service",
            "postgresDatabase:shop", "postgresExtension:shop.citext", "directory:/srv/shop/uploads",
        ] { #expect(app.requires.contains(ResourceID("vps1/\(id)")), "\(id)") }
        guard case .app(let spec) = app.resource else { return }
        #expect(spec.ports == [3000, 3001, 3002, 3003])
        #expect(spec.upstreamFile == "/etc/nginx/bascule/upstream-shop.conf")
        let site = compiled.text("/etc/nginx/sites-available/bascule-shop.conf")
        #expect(site.contains("set $bascule_upstream \(spec.upstream);"))
    }

    @Test func uploadsAreTheAppsAndWritable() throws {
        guard case .directory(let folder)? = compiled.find("directory:/srv/shop/uploads")?.resource else {
            Issue.record("no folder of uploads")
            return
        }
        #expect(folder.permissions.owner == "shop")
        let unit = try #require(compiled.unit("bascule-shop@.service"))
        #expect(unit.content?.display.contains("ReadWritePaths=-/srv/shop/uploads\n") == true)
        #expect(unit.state == nil && unit.enabled == nil)
    }

    @Test func oldEdgeIsTrustedForClientAddresses() {
        #expect(compiled.text("/etc/nginx/conf.d/bascule.conf").contains("set_real_ip_from 10.9.0.2;"))
    }

    @Test func restartAndReloadAreSeparate() throws {
        let postgres = try #require(compiled.unit("postgresql@15-main.service"))
        #expect(postgres.restartOn == ["/etc/postgresql/15/main/conf.d/50-bascule-restart.conf"])
        #expect(postgres.reloadOn.contains("/etc/postgresql/15/main/pg_hba.conf"))
        #expect(try #require(compiled.unit("redis-server.service")).masked)
        let nginx = try #require(compiled.unit("nginx.service"))
        #expect(nginx.check == ["nginx", "-t", "-q"])
        #expect(!nginx.reloadOn.contains { $0.contains("upstream") })
    }

    private var expectedIDs: String {
        """
        app:shop
        certificate:postgresql
        certificate:shop
        command:pool-login.shop
        command:postgresql-checksums
        directory:/etc/nginx/bascule
        directory:/etc/nginx/bascule/pages
        directory:/etc/nginx/bascule/pages/.bascule
        directory:/etc/nginx/bascule/tls
        directory:/etc/redis
        directory:/srv/apps/shop
        directory:/srv/shop/uploads
        directory:/var/lib/redis/durable
        file:/etc/apt/apt.conf.d/52bascule-pgbouncer
        file:/etc/apt/apt.conf.d/52bascule-postgresql
        file:/etc/apt/apt.conf.d/52bascule-redis
        file:/etc/logrotate.d/bascule-nginx
        file:/etc/nginx/bascule/pages/.bascule/maintenance.html
        file:/etc/nginx/bascule/pages/.bascule/unavailable.html
        file:/etc/nginx/bascule/headers-shop.conf
        file:/etc/nginx/bascule/proxy-shop.conf
        file:/etc/nginx/conf.d/bascule.conf
        file:/etc/nginx/nginx.conf
        file:/etc/nginx/sites-available/bascule-shop.conf
        file:/etc/pgbouncer/bascule-pools.ini
        file:/etc/pgbouncer/pgbouncer.ini
        file:/etc/pgbouncer/pool-login.sql
        file:/etc/pgbouncer/userlist.txt
        file:/etc/postgresql/15/main/conf.d/50-bascule-restart.conf
        file:/etc/postgresql/15/main/conf.d/60-bascule.conf
        file:/etc/postgresql/15/main/pg_hba.conf
        file:/etc/redis/redis-durable-limits.conf
        file:/etc/redis/redis-durable.acl
        file:/etc/redis/redis-durable.conf
        file:/etc/tmpfiles.d/bascule-nginx.conf
        file:/etc/redis/redis-durable.reload
        file:/etc/redis/redis.conf
        file:/usr/local/lib/bascule/pgbouncer
        file:/usr/local/lib/bascule/postgresql-checksums
        firewall:inbound
        package:logrotate
        package:nftables
        package:nginx
        package:node-express
        package:node-nodemailer
        package:node-pg
        package:node-redis
        package:nodejs
        package:openssh-client
        package:openssl
        package:pgbouncer
        package:postgresql-15
        package:postgresql-client-15
        package:redis-server
        package:redis-tools
        package:rsync
        postgresDatabase:shop
        postgresExtension:shop.citext
        postgresExtension:shop.pg_stat_statements
        postgresExtension:shop.pgcrypto
        postgresRole:anon
        postgresRole:authenticated
        postgresRole:back_office
        postgresRole:pgbouncer
        postgresRole:service_role
        postgresRole:shop
        probe:app.shop
        probe:nginx
        probe:nginx.tls
        probe:pgbouncer
        probe:postgresql
        probe:redis.durable
        release:shop
        symlink:/etc/nginx/sites-enabled/bascule-shop.conf
        symlink:/etc/nginx/sites-enabled/default
        sysctl:vm.overcommit_memory
        unit:bascule-shop@.service
        unit:nginx.service
        unit:pgbouncer.service
        unit:postgresql@15-main.service
        unit:redis-server.service
        unit:redis-server@durable.service
        user:shop
        """
    }
}
