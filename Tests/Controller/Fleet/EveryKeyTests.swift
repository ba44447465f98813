import BasculeFleet
import BasculeModel
import Foundation
import Testing

@Suite struct EveryKeyTests {
    let folder: FleetFolder
    init() throws {
        folder = try FleetFolder([
            "journeys/shop.yaml", "templates/b.conf", "shop/server.js", "side.tar.gz",
        ])
    }

    @Test func everyKeyParses() throws {
        #expect(folder.errors(everyKey).map { $0.render() } == [])
        #expect(try folder.parse(everyKey).warnings.map { $0.render() } == [])
    }

    /// A key that is declared must be read somewhere in these files: a new one has to be added to them.
    @Test func everyDeclaredKeyIsTried() throws {
        let data = Data(FleetSchema.json().utf8)
        var declared: Set<String> = []
        func walk(_ value: Any) {
            if let list = value as? [Any] { list.forEach(walk) }
            guard let object = value as? [String: Any] else { return }
            if let properties = object["properties"] as? [String: Any] { declared.formUnion(properties.keys) }
            object.values.forEach(walk)
        }
        walk(try JSONSerialization.jsonObject(with: data))
        let sampleFolder = try FleetFolder()
        let tried = try [
            folder.parse(everyKey), folder.parse(hookedEdge), folder.parse(otherFront),
            sampleFolder.parse(designSample),
        ]
        .flatMap { $0.positions.keys.flatMap { $0.split(separator: ".").map(String.init) } }
        #expect(declared.count > 100)
        #expect(declared.subtracting(tried).sorted() == [])
    }

    @Test func servicesTakeTheirValues() throws {
        let services = try folder.parse(everyKey).fleet.services
        #expect(services.postgresql?.settings == ["max_connections": "200", "work_mem": "16MB"])
        #expect(services.postgresql?.databases["shop"]?.owner == "shop_owner")
        #expect(services.pgbouncer?.poolMode == .session)
        #expect(services.redis?.cache?.policy == .volatileTTL)
        #expect(services.redis?.durable?.maxMemory == .mebibytes(128))
        #expect(services.nginx?.rateLimit?.rate.text == "300r/m")
        #expect(services.nginx?.gzip == .dynamic && services.nginx?.hsts == .always(.seconds(31_536_000)))
        #expect(services.nginx?.cdn == .networks(["192.0.2.0/24"]) && services.nginx?.connectionLimit == 50)
        #expect(services.nginx?.loginLimit?.rate.text == "6r/m" && services.nginx?.loginLimit?.burst == 3)
        #expect(services.certificates?.challenge == .dns && services.certificates?.dns?.server.tsig == "ACMET")
        #expect(services.nginx?.clientMaxBody.bytes == 25_000_000)
        #expect(services.monitoring?.serverErrors == Percentage(2.5) && services.monitoring?.webhook == "HOOK")
        #expect(services.monitoring?.mail?.password == "SMTP" && services.monitoring?.grafana?.port == 3901)
        #expect(services.monitoring?.latency == .milliseconds(250) && services.monitoring?.repeats == .seconds(3600))
        let off = try #require(try folder.parse(hookedEdge).fleet.services.nginx)
        #expect(off.rateLimit == nil && off.loginLimit == nil && off.connectionLimit == nil)
        #expect(off.gzip == .off && off.hsts == .off && off.cdn == .cloudflare)
        let system = try #require(services.system)
        #expect(system.users["alice"]?.keys == ["ssh-ed25519 QUJD alice"])
        #expect(system.users["alice"]?.sudo == false && !system.ssh.root && !system.ssh.tunnels)
        #expect(system.bans?.never == ["203.0.113.0/24"] && system.bans?.time == .seconds(7200))
        #expect(system.upgrades?.from == .all && system.upgrades?.reboot == "Mon,Thu 03:15")
        #expect(system.swap?.size == .gibibytes(1) && system.journal.keep == .seconds(7 * 86_400))
        #expect(system.kernel == ["vm.swappiness": "5"] && !system.integrity && !system.accounting)
    }

    @Test func appsTakeTheirValues() throws {
        let fleet = try folder.parse(everyKey).fleet
        let app = try #require(fleet.apps["shop"])
        #expect(app.source == .git(url: "https://git.example/shop.git", ref: "v1.2"))
        #expect(app.build == [Command(["npm", "ci"]), Command(["npm", "run", "build all"])])
        #expect(app.env["DIRECT"] == .reference(.binding(Binding(.database("shop"), aspect: .direct))))
        #expect(app.env["OTHER"] == .reference(.binding(Binding(.app("side")))))
        #expect(app.env["EMPTY"] == .literal(""))
        #expect(app.login?.method == "PUT" && app.metrics == "/metrics")
        #expect(app.health?.interval == .milliseconds(500))
        #expect(fleet.apps["side"]?.source == .archive("side.tar.gz"))
        #expect(fleet.active.nodes(with: .app) == ["n2"])
    }

    @Test func resourcesTakeTheirValues() throws {
        let resources = try folder.parse(everyKey).fleet.resources
        #expect(resources.count == 21)
        #expect(resources[0].on == .some([.node("n1")]))
        #expect(resources[1].on == .some([.role(.web), .node("n1")]))
        guard case .file(let file) = resources[1].kind, case .template(_, let vars)? = file.content else {
            Issue.record("no template: \(resources[1])")
            return
        }
        #expect(
            vars == [
                "n": .integer(1), "x": .number(1.5), "t": .flag(true), "s": .text("1"),
                "l": .list([.text("a"), .map(["b": .text("c")])]), "p": .reference(.generate("p")),
                "d": .reference(.binding(Binding(.database("shop"), aspect: .host))),
            ])
        #expect(
            resources[17...19].map(\.kind) == [
                .probe(
                    probe(
                        "p1", .url("http://127.0.0.1:3000/up", host: "shop.example", status: 204), unit: "a@b.service")),
                .probe(
                    probe("p2", .connect("127.0.0.1:6379", send: "PING\r\n", expect: "+PONG"), timeout: .seconds(5))),
                .probe(probe("p3", .command(Command(["true"]), user: "u"))),
            ])
        guard case .firewall(let opening) = resources[20].kind else {
            Issue.record("no firewall: \(resources[20])")
            return
        }
        #expect(opening.allow == [8080, 8443] && opening.transport == .udp && opening.from.count == 2)
    }

    private func probe(
        _ name: String, _ question: ProbeResource.Question, unit: String? = nil, timeout: Duration = .seconds(30)
    ) -> ProbeResource {
        var probe = ProbeResource()
        (probe.name, probe.question, probe.unit, probe.timeout) = (name, question, unit, timeout)
        return probe
    }

    @Test func migrationsTakeTheirValues() throws {
        let fleet = try folder.parse(everyKey).fleet
        let migration = try #require(fleet.migration)
        guard case .redis(let redis)? = migration.sources["b"], case .files(let files)? = migration.sources["d"] else {
            Issue.record("other sources: \(migration.sources)")
            return
        }
        #expect(redis.into == .durable && redis.keys == "bull:*")
        #expect(files.key == "D" && files.owner == "u" && files.hostKey?.base64 == "QUJD")
        #expect(migration.dns?.records["www.shop.example"]?.a == .address("192.0.2.7"))
        #expect(migration.dns?.records["www.shop.example"]?.aaaa == .node("n1"))
        #expect(migration.window?.start == Date(timeIntervalSince1970: 1_796_526_000))
        #expect(migration.rollback.newWrites == .reverse && migration.rollback.ifAlone == .hold)
        #expect(migration.rollback.when.serverErrors == .above(Percentage(0.5)))
        #expect(migration.customers?.notice == .seconds(86_400))
        #expect(fleet.costs?.before["Upstash (eu)"] == 10.5)
        #expect(fleet.costs?.server == "hetzner-cx21" && fleet.costs?.maintenance?.rate == 50)
        #expect(fleet.costs?.once == ["training": 400] && fleet.costs?.target == 12)
        #expect(fleet.nodes["n1"]?.memory == .gibibytes(4) && fleet.nodes["n2"]?.memory == nil)
        #expect(fleet.caps.deletions == 3 && fleet.caps.memory == 150)
        #expect(fleet.caps.unconfirmed == .seconds(20))
        guard case .hooks(let hooks)? = try folder.parse(hookedEdge).fleet.migration?.edge else {
            Issue.record("no hooks")
            return
        }
        #expect(hooks.proxy == Command(["./proxy", "to it"]))
    }
}
