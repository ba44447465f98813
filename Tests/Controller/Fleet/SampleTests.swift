import BasculeFleet
import BasculeModel
import Foundation
import Testing

@Suite struct SampleTests {
    let folder: FleetFolder
    init() throws { folder = try FleetFolder() }

    @Test func theDesignSampleParsesWhole() throws {
        let parsed = try folder.parse(designSample)
        let fleet = parsed.fleet
        #expect(fleet.name == "girlycrea")
        #expect(fleet.folder == folder.path)
        #expect(fleet.nodeNames == ["vps1", "vps2"])
        guard case .existing(let node)? = fleet.nodes["vps1"] else {
            Issue.record("vps1 is no machine")
            return
        }
        #expect(node.address == "203.0.113.10")
        #expect(node.key == "~/.ssh/id_ed25519")
        #expect(node.hostKey?.type == "ssh-ed25519")
        #expect(fleet.nodes["vps2"] == .lab(LabNode()))
        #expect(fleet.activeTopology == "single")
        #expect(fleet.active.nodes(with: .database) == ["vps1"])
        #expect(fleet.active.roles(of: "vps1").count == 7)
        #expect(fleet.services.postgresql?.version == 15)
        #expect(fleet.services.postgresql?.databases["shop"]?.extensions == ["pgcrypto", "citext"])
        #expect(fleet.services.pgbouncer?.poolMode == .transaction)
        #expect(fleet.services.redis?.cache?.maxMemory == .mebibytes(256))
        #expect(fleet.services.redis?.durable == nil)
        #expect(fleet.services.nginx == Nginx())
        // The host keys of the sample are cut short, and its old edge is described elsewhere.
        #expect(
            parsed.warnings.map(FleetFolder.brief) == [
                "3:88 fleet-doubtful", "34:16 fleet-doubtful", "39:81 fleet-doubtful",
            ])
    }

    @Test func theSamplesApp() throws {
        let fleet = try folder.parse(designSample).fleet
        let app = try #require(fleet.apps["shop"])
        #expect(app.source == .path("shop"))
        #expect(app.runtime == .systemd)
        #expect(app.instances == 4)
        #expect(app.build == [Command(["npm", "ci", "--omit=dev"])])
        #expect(app.buildEnv == ["NEXT_PUBLIC_URL": .literal("https://shop.example")])
        #expect(app.start == Command(["node", "server.js"]))
        #expect(app.port == 3000)
        #expect(app.health?.path == "/healthz")
        #expect(app.health?.timeout == .seconds(30))
        #expect(app.domains == ["shop.example"])
        #expect(app.env["DATABASE_URL"] == .reference(.binding(Binding(.database("shop")))))
        #expect(app.env["REDIS_URL"] == .reference(.binding(Binding(.redis(.cache)))))
        #expect(app.env["SESSION_SECRET"] == .reference(.generate("session")))
        #expect(app.env["NODE_ENV"] == .literal("production"))
        #expect(app.journeys == "journeys/shop.yaml")
        #expect(app.keep == 3)
        #expect(app.drain == .seconds(10))
    }

    @Test func theSamplesResources() throws {
        let parsed = try folder.parse(designSample)
        let kinds = parsed.fleet.resources.map(\.kind)
        try #require(kinds.count == 6)
        #expect(parsed.fleet.resources.allSatisfy { $0.on == .all })
        guard case .package(let package) = kinds[0], case .user(let user) = kinds[1],
            case .directory(let directory) = kinds[2], case .file(let inline) = kinds[3],
            case .file(let template) = kinds[4], case .unit(let unit) = kinds[5]
        else {
            Issue.record("other kinds: \(kinds)")
            return
        }
        #expect(package.names == ["nginx", "redis-server"])
        #expect(user.name == "svc0" && user.system && user.shell == "/usr/sbin/nologin")
        #expect(directory.mode.octal == "0750")
        #expect(inline.content == .inline("x = 1\n"))
        #expect(inline.mode == FileMode(0o640))
        #expect(template.content == .template(path: "templates/b.conf", vars: ["item": .integer(1)]))
        #expect(unit.state == .running && unit.enabled == true)
        #expect(unit.reloadOn == ["/etc/nginx/nginx.conf"])
        #expect(parsed.fleet.resources[5].place == .file(path: folder.file, line: 32, column: 5))
        #expect(parsed.positions["resources.4.template"] == .file(path: folder.file, line: 31, column: 38))
    }

    @Test func theSamplesMigration() throws {
        let migration = try #require(try folder.parse(designSample).fleet.migration)
        guard case .node(let edge)? = migration.edge else {
            Issue.record("no edge")
            return
        }
        #expect(edge.node == "old1")
        var postgres = PostgresSource()
        (postgres.url, postgres.into) = ("SOURCE_DATABASE_URL", "shop")
        #expect(migration.sources["database"] == .postgres(postgres))
        var redis = RedisSource()
        redis.url = "SOURCE_REDIS_URL"
        #expect(migration.sources["cache"] == .redis(redis))
        guard case .files(let files)? = migration.sources["uploads"] else {
            Issue.record("no uploads")
            return
        }
        #expect(files.user == "deploy" && files.host == "old.example")
        #expect(files.path == "/var/www/app/public/uploads" && files.to == "/srv/shop/uploads")
        #expect(migration.dns?.records["shop.example"]?.a == .node("vps1"))
        #expect(migration.dns?.server.tsig == "TSIG")
        #expect(migration.dns?.ttl == .seconds(300))
        #expect(migration.window?.start == Date(timeIntervalSince1970: 1_796_526_000))
        #expect(migration.window?.length == .seconds(1800))
        #expect(migration.rollback.when.usersUnableToLogIn == .above(Percentage(10)))
        #expect(migration.rollback.when.dataLoss == .any)
        #expect(migration.rollback.ifAlone == .rollback)
        #expect(migration.finalBackup == .parallel)
        #expect(migration.approve == .manual)
    }
}
