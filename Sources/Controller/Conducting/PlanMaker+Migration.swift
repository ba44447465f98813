import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeNet
import BasculePlanning
import Foundation

extension PlanMaker {
    struct MigrationPart: Sendable {
        var steps: [Step]
        var outline: MigrationOutline?
        var lease: MigrationLease?
    }

    /// The migration's steps that are still to be done; nil where there are none.
    func migrationSteps(_ compiled: Compiled) async throws -> MigrationPart? {
        guard session.fleet.migration != nil, only == nil else { return nil }
        let state = try session.store.migrationState()
        if state == .finished { return nil }
        let context = try await migrationContext(compiled)
        guard let planner = try MigrationPlanner(context) else { return nil }
        if case .node(let edge)? = session.fleet.migration?.edge, session.fleet.nodes[edge.node] == nil {
            throw BasculeError(
                .notFoundNode, "migration.edge names the node \(edge.node), which is not declared",
                at: session.positions["migration.edge"], hint: "declare it under nodes")
        }
        let planned = try planner.plan()
        let steps = state == .opened ? planned.steps.filter { $0.phase == .finish } : planned.steps
        return MigrationPart(steps: steps, outline: state == .opened ? nil : planned.outline, lease: planner.lease)
    }

    private func migrationContext(_ compiled: Compiled) async throws -> MigrationContext {
        var hostKeys: [NodeName: String] = [:]
        for node in session.usedNodes { hostKeys[node] = try await session.pins(node).first?.line }
        let ports = session.fleet.nodes.compactMapValues { spec in
            if case .existing(let machine) = spec { machine.port } else { nil }
        }
        let addresses = try await session.addresses()
        return MigrationContext(
            fleet: session.fleet, compiled: compiled, addresses: addresses, hostKeys: hostKeys, ports: ports,
            journeys: try journeys(),
            attempt: try session.store.migrationAttempt(), records: await presentRecords(addresses))
    }

    /// Steps of `bascule data`, as a plan of their own. Throws `migration-refused` where a step would write into a
    /// database that serves already.
    package func makeData(_ verb: DataVerb, sources: [String]) async throws -> Planned {
        let state = try session.store.migrationState()
        guard state == .before || !verb.changes else {
            throw BasculeError(
                .migrationRefused, "the new system serves, or is about to: nothing of its data is touched",
                hint: "bascule data verify and diff change nothing; bascule apply or rollback ends the migration")
        }
        let (compiled, blobs) = try await compile()
        guard let planner = try MigrationPlanner(try await migrationContext(compiled)) else {
            throw BasculeError(
                .notFound, "the fleet file declares no migration",
                hint: "sources of data stand under migration.sources; bascule init writes an example")
        }
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: session.fleet.name,
            topology: session.fleet.activeTopology.rawValue, revision: session.revision,
            created: Date().timeIntervalSince1970, steps: try planner.dataSteps(verb, sources: sources))
        return Planned(plan: plan, compiled: compiled, blobs: blobs, lease: nil, unreachable: [:])
    }

    private func journeys() throws -> [AppName: Journey] {
        var found: [AppName: Journey] = [:]
        for (name, app) in session.fleet.apps {
            guard let path = app.journeys else { continue }
            do { found[name] = try JourneyFile.parse(path: "\(session.fleet.folder)/\(path)") } catch {
                throw BasculeError(.invalidInput, error.render())
            }
        }
        return found
    }

    /// What the records of the switch are now, as their server says; empty where it cannot be asked from here: the
    /// conductor then takes what it finds.
    private func presentRecords(_ addresses: [NodeName: String]) async -> [String: [String]] {
        guard let dns = session.fleet.migration?.dns else { return [:] }
        let host = addresses[NodeName(dns.server.host)] ?? dns.server.host
        guard let server = IPAddress(host) else { return [:] }
        let client = DNSClient(server: server, port: UInt16(dns.server.port))
        return await Task.detached {
            var found: [String: [String]] = [:]
            for name in dns.records.keys {
                for (word, type) in [("A", DNSType.a), ("AAAA", DNSType.aaaa)] {
                    guard let owner = try? DNSName(name),
                        let answer = try? client.query(owner, type, deadline: .seconds(2))
                    else { continue }
                    found["\(name)/\(word)"] = answer.records(type, at: owner).records.compactMap {
                        if case .address(let address) = $0.data { "\(address)" } else { nil }
                    }
                }
            }
            return found
        }.value
    }
}

extension ErrorCode {
    /// The fleet file names a node that it does not declare.
    package static let notFoundNode: ErrorCode = "unknown-node"
}
