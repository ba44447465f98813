import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// What cannot be compiled, and how it says so.
@Suite struct RefusalTests {
    private func fleet(_ more: String, roles: String = "database, cache, web, app") -> String {
        "fleet: tiny\nnodes: {vps1: {address: 192.0.2.1}}\ntopologies: {only: {vps1: [\(roles)]}}\n" + more
    }

    private let app = """
        apps:
          shop:
            source: {path: ./shop}
            start: node server.js
            port: 3000

        """

    @Test func twoContentsForOneFileNameBothOrigins() throws {
        let text = fleet(
            """
            services: {nginx: {}}
            resources:
              - {on: all, file: /etc/nginx/conf.d/bascule.conf, content: "mine"}
            """)
        let error = try #require(try CatalogueFolder().error(text))
        #expect(error.code == .catalogueConflict)
        #expect(error.message.contains("fleet.yaml:6"))
        #expect(error.message.contains("service nginx"))
    }

    @Test func equalDeclarationsMerge() throws {
        let text = fleet(
            """
            services: {nginx: {}}
            resources:
              - {on: all, package: nginx}
              - {on: all, unit: nginx.service, reloadOn: [/etc/nginx/nginx.conf], dropIns: {nice: "[Service]\\nNice=1\\n"}}
            """)
        let compiled = try CatalogueFolder().compile(text)
        #expect(compiled.find("package:nginx")?.origin == "fleet.yaml:6, service nginx")
        let unit = try #require(compiled.unit("nginx.service"))
        #expect(
            unit.reloadOn.contains("/etc/nginx/nginx.conf") && unit.reloadOn.contains("/etc/nginx/conf.d/bascule.conf"))
        #expect(unit.dropIns.keys.sorted() == ["10-bascule.conf", "nice.conf"])
    }

    @Test func contradictingUnitStatesDoNotMerge() throws {
        let text = fleet(
            "services: {nginx: {}}\nresources:\n  - {on: all, unit: nginx.service, state: stopped}\n")
        #expect(try CatalogueFolder().error(text)?.code == .catalogueConflict)
    }

    @Test func distributionsOwnVersionOnTrixie() throws {
        let compiled = try CatalogueFolder().compile(
            fleet(
                "services: {postgresql: {databases: {shop: {}}}, pgbouncer: {}, nginx: {}}\n" + app
                    + "    domains: [shop.example]\n")
        ) {
            $0.releases["vps1"] = .trixie
        }
        #expect(compiled.unit("postgresql@17-main.service") != nil)
        #expect(compiled.text("/etc/pgbouncer/bascule-pools.ini").contains("max_prepared_statements = 200"))
        #expect(compiled.text("/etc/nginx/sites-available/bascule-shop.conf").contains("http2 on;"))
    }

    @Test func portIsNotTheFilesToGive() throws {
        #expect(try CatalogueFolder().error(fleet(app + "    env: {PORT: \"1\"}\n"))?.code == .invalidInput)
    }

    @Test func unplacedBindingIsAnError() throws {
        let text = fleet("services: {redis: {cache: {}}}\n" + app + "    env: {R: !binding redis.cache}\n")
        let error = try CatalogueFolder().error(text) { $0.fleet.topologies["only"] = Topology(["vps1": [.app]]) }
        #expect(error?.code == .catalogueUnplaced)
    }

    @Test func sourceThatWasNotPacked() throws {
        #expect(try CatalogueFolder().error(fleet(app)) { $0.archives = [:] }?.code == .invalidInput)
    }

    @Test func secretCannotBeBothGivenAndMade() throws {
        let text = fleet(app + "    env: {A: !secret X}\n")
        let error = try CatalogueFolder().error(text) { $0.fleet.apps["shop"]?.env["B"] = .reference(.generate("X")) }
        #expect(error?.code == .catalogueConflict)
    }

    @Test func nothingDeletesADatabase() throws {
        let text = fleet(
            "services: {postgresql: {}}\nresources:\n  - {on: database, postgresDatabase: old, state: absent}\n")
        #expect(try CatalogueFolder().error(text)?.code == .catalogueLater)
    }
}
