import ArgumentParser
import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel

/// `bascule cost`
struct CostCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost", abstract: "What it costs before and after, what is saved, and when that pays.",
        discussion: """
            Adds up the fleet file's `costs` and the price list of servers. It asks
            nobody: a price is what its source said at the date beside it.
            Examples:
              bascule cost
              bascule cost --prices     only the price list
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Only the price list; needs no fleet file.") var prices = false

    func run() throws {
        if prices {
            if output.json { return try ServerPlans.all.forEach { try Terminal.json($0) } }
            let list = CostReport(Costs()).servers
            return CostView.prices(list, "EUR", withTotals: false).forEach { Terminal.say($0) }
        }
        let parsed = try options.parse()
        guard let costs = parsed.fleet.costs else {
            throw BasculeError(
                .notFound, "the fleet file has no costs", at: .thing(options.file),
                hint: "costs: {before: {Supabase: 25}, after: {backup: 2}, server: hetzner-cx21}")
        }
        let report = CostReport(costs) { Self.fits($0, parsed) }
        if output.json {
            try Terminal.json(report)
        } else {
            CostView(report: report).lines.forEach { Terminal.say($0) }
        }
    }

    /// Whether the fleet fits a server; nil unless one node serves everything.
    private static func fits(_ plan: ServerPlan, _ parsed: ParsedFleet) -> Bool? {
        let fleet = parsed.fleet
        let nodes = fleet.active.placements.filter { !$0.value.isEmpty }.keys.sorted()
        guard nodes.count == 1 else { return nil }
        // What is not known before the fleet stands does not change any share.
        let nothing = SourceArchive(digest: Digest(of: ""), size: 0)
        let context = CompileContext(
            fleet: fleet, addresses: Dictionary(fleet.nodeNames.map { ($0, "192.0.2.1") }, uniquingKeysWith: { $1 }),
            archives: fleet.apps.mapValues { _ in nothing }, positions: parsed.positions, digest: { Digest(of: $0) })
        return Catalogue.fits(plan, nodes[0], context)
    }
}
