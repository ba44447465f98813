import BasculeFleet
import BasculeModel
import Testing

@Suite struct StackTemplateTests {
    private let folder: FleetFolder
    init() throws { folder = try FleetFolder([]) }

    @Test func theStackIsValidAndMeansWhatItSays() throws {
        let parsed = try folder.parse(StackTemplate().text)
        let fleet = parsed.fleet
        #expect(parsed.warnings.map { $0.render() } == [])
        #expect(fleet.services.postgresql != nil && fleet.services.pgbouncer?.poolMode == .transaction)
        #expect(
            fleet.services.redis?.cache != nil && fleet.services.redis?.durable != nil && fleet.services.nginx != nil)
        #expect(
            fleet.apps["shop"]?.instances == 4 && fleet.apps["shop"]?.domains == ["shop.example", "www.shop.example"])
        #expect(fleet.topologies["rehearsal"]?.placements["rehearsal"] == fleet.active.placements["vps1"])
        #expect(fleet.costs?.before.values.reduce(0, +) == 71)
        #expect(StackTemplate().text.split(separator: "\n").count <= 50)
    }

    /// Every service that the catalogue knows is in it, and every role that carries one.
    @Test func nothingOfTheStackIsMissing() throws {
        let text = StackTemplate().text
        let known = FleetSchema.markdown()
        for (service, role) in [
            ("postgresql", "database"), ("pgbouncer", "database"), ("redis", "cache"), ("nginx", "web"),
            ("certificates", "web"), ("mail", "mail"), ("monitoring", "monitoring"), ("system", ""),
        ] where known.contains("`services.\(service)`") {
            #expect(text.contains("  \(service): ") || text.contains("  \(service):\n"), "\(service)")
            #expect(role.isEmpty || text.contains(role), "\(role)")
        }
    }

    @Test(arguments: [
        "x: [", "\"", "a\nresources: []", "${{ secrets.X }}", "#", "*all", "!secret X", "{}", "a: b", "'", "\\",
    ])
    func anOddAnswerStaysAnAnswer(_ odd: String) throws {
        var stack = StackTemplate()
        (stack.start, stack.source, stack.email) = (odd, odd, odd)
        // Refused or taken as it is, never anything else.
        do {
            let app = try folder.parse(stack.text).fleet.apps["shop"]
            #expect(app?.start.words.joined(separator: " ").isEmpty == false)
            #expect(app?.source == .path(odd))
        } catch { #expect(!error.errors.isEmpty) }
    }

    @Test func otherAnswersAreTaken() throws {
        var stack = StackTemplate()
        (stack.name, stack.domain, stack.address, stack.key) = (
            "girlycrea", "girlycrea.example", "2001:db8::1", "~/.ssh/id"
        )
        (stack.port, stack.instances, stack.health, stack.start) = (4000, 2, "/up", "node dist/main.js --port")
        let fleet = try folder.parse(stack.text).fleet
        #expect(fleet.name == "girlycrea" && fleet.apps["girlycrea"]?.health?.path == "/up")
        guard case .existing(let node)? = fleet.nodes["vps1"] else {
            Issue.record("no node")
            return
        }
        #expect(node.address == "2001:db8::1" && node.key == "~/.ssh/id")
        stack.address = nil
        guard case .lab? = try folder.parse(stack.text).fleet.nodes["vps1"] else {
            Issue.record("no throwaway node")
            return
        }
    }
}
