import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// Several nodes: address, credentials, listening and firewall from one edge of the graph.
@Suite struct TopologyTests {
    private let text = """
        fleet: tiny
        nodes: {db1: {address: 192.0.2.1, port: 2222}, web1: {provider: lab, image: debian12}}
        topologies: {multi: {db1: [database, cache], web1: [web, app]}}
        services:
          postgresql: {databases: {shop: {owner: shop}}, settings: {shared_buffers: 1GB, work_mem: 16MB}}
          pgbouncer: {}
          redis: {durable: {}}
          nginx: {}
        apps:
          shop:
            source: {path: ./shop}
            start: node server.js
            port: 3000
            instances: 2
            domains: [shop.example]
            env: {DATABASE_URL: !binding database.shop, DIRECT: !binding database.shop.direct, REDIS_URL: !binding redis.durable}

        """

    private func compile() throws -> Compiled {
        try CatalogueFolder().compile(text) { $0.addresses = ["web1": "192.0.2.2"] }
    }

    @Test func bindingsNameTheOtherNode() throws {
        let env = try #require(try compile().release("shop", on: "web1")).env
        #expect(
            env["DATABASE_URL"]?.display
                == "postgresql://shop:‹secret generated.postgresql.shop›@192.0.2.1:6432/shop?sslmode=require")
        #expect(
            env["DIRECT"]?.display
                == "postgresql://shop:‹secret generated.postgresql.shop›@192.0.2.1:5432/shop?sslmode=require")
        #expect(env["REDIS_URL"]?.display == "redis://app:‹secret generated.redis.durable›@192.0.2.1:6380/0")
    }

    @Test func servicesListenForTheirPeersOnly() throws {
        let compiled = try compile()
        #expect(
            compiled.text("/etc/postgresql/15/main/conf.d/50-bascule-restart.conf", on: "db1").contains(
                "listen_addresses = 'localhost, 192.0.2.1'"))
        #expect(
            compiled.text("/etc/postgresql/15/main/pg_hba.conf", on: "db1").contains(
                "hostssl   \"shop\"   \"shop\"   192.0.2.2/32   scram-sha-256"))
        #expect(compiled.text("/etc/pgbouncer/pgbouncer.ini", on: "db1").contains("listen_addr = 127.0.0.1,192.0.2.1"))
        #expect(compiled.text("/etc/redis/redis-durable.conf", on: "db1").contains("bind 127.0.0.1 -::1 192.0.2.1\n"))
        #expect(
            compiled.rules(on: "db1") == [
                "tcp/2222", "tcp/5432 192.0.2.2/32", "tcp/6380 192.0.2.2/32", "tcp/6432 192.0.2.2/32",
            ])
        #expect(compiled.rules(on: "web1") == ["tcp/22", "tcp/80", "tcp/443"])
    }

    @Test func unencryptedTrafficIsSaid() throws {
        let warnings = try compile().warnings
        #expect(warnings.count == 1)
        #expect(warnings.allSatisfy { $0.code == .catalogueUnencrypted })
    }

    @Test func nothingOfADatabaseIsOnTheWebNode() throws {
        let ids = try #require(try compile().resources["web1"]).map(\.id.rawValue)
        #expect(!ids.contains { $0.contains("postgres") || $0.contains("redis") || $0.contains("pgbouncer") })
    }

    @Test func unknownAddressIsAnError() throws {
        #expect(try CatalogueFolder().error(text)?.code == .catalogueNoAddress)
    }

    @Test func webWithoutAppComesLater() throws {
        let apart = text.replacing(
            "{db1: [database, cache], web1: [web, app]}", with: "{db1: [database, cache, app], web1: [web]}")
        #expect(try CatalogueFolder().error(apart)?.code == .catalogueLater)
    }

    @Test func databaseOnTwoNodesComesLater() throws {
        let two = text.replacing("web1: [web, app]", with: "web1: [web, app, database]")
        #expect(try CatalogueFolder().error(two)?.code == .catalogueLater)
    }

    @Test func ownSettingsGoWhereTheyTakeEffect() throws {
        let compiled = try compile()
        #expect(
            compiled.text("/etc/postgresql/15/main/conf.d/50-bascule-restart.conf", on: "db1").hasSuffix(
                "shared_buffers = '1GB'\n"))
        #expect(
            compiled.text("/etc/postgresql/15/main/conf.d/60-bascule.conf", on: "db1").hasSuffix("work_mem = '16MB'\n"))
    }
}
