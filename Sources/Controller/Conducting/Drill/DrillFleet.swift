import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// The fleet of a drill: one throwaway node that takes the lost node's place.
enum DrillFleet {
    static let node: NodeName = "drill"

    /// The declared fleet with nothing that reaches beyond the node: no edge, no names, no mail, no backups of its own.
    static func derived(_ parsed: ParsedFleet, of lost: NodeName, release: DebianRelease) -> ParsedFleet {
        var drill = parsed
        var own = LabNode()
        own.image = release == .trixie ? .debian13 : .debian12
        drill.fleet.name = "\(parsed.fleet.name)-drill"
        drill.fleet.nodes = [node: .lab(own)]
        let without: Set<Role> = [.backup, .mail, .monitoring]
        let roles = (parsed.fleet.active.placements[lost] ?? []).filter { !without.contains($0) }
        drill.fleet.topologies = ["drill": Topology([node: roles])]
        drill.fleet.activeTopology = "drill"
        drill.fleet.migration = nil
        drill.fleet.services.backup = nil
        drill.fleet.services.mail = nil
        drill.fleet.services.monitoring = nil
        drill.fleet.services.certificates = nil
        drill.fleet.services.system = nil
        drill.fleet.services.postgresql = roles.contains(.database) ? drill.fleet.services.postgresql : nil
        drill.fleet.services.pgbouncer = roles.contains(.database) ? drill.fleet.services.pgbouncer : nil
        drill.fleet.services.redis = roles.contains(.cache) ? drill.fleet.services.redis : nil
        if !roles.contains(.app) { drill.fleet.apps = [:] }
        return drill
    }

    /// What the recovery kit opens, and nothing else of the workstation: the drill's store begins empty.
    static func hand(_ secrets: Store, to drill: Store) throws {
        for info in try secrets.secrets() where !info.name.rawValue.hasPrefix("bascule.") {
            if let value = try secrets.secret(info.name) { try drill.setSecret(info.name, value, origin: info.origin) }
        }
    }
}
