import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import Foundation

@testable import BasculePlanning

func wanted(_ resource: Resource, requires: [ResourceID] = []) -> DesiredResource {
    DesiredResource(resource, on: "n", requires: requires, origin: "test")
}

func deb(_ name: String, _ state: Presence = .present) -> DesiredResource {
    wanted(.package(PackageSpec(name, state: state)))
}
func file(_ path: String, requires: [ResourceID] = []) -> DesiredResource {
    wanted(.file(FileSpec(path, "x")), requires: requires)
}
func unit(_ name: String, restartOn: [String] = [], reloadOn: [String] = []) -> DesiredResource {
    wanted(.unit(UnitSpec(name, reloadOn: reloadOn, restartOn: restartOn)))
}

private let a = Digest(rawValue: String(repeating: "a", count: 64))
private let b = Digest(rawValue: String(repeating: "b", count: 64))

/// What stands on a node for a resource: as desired, or not.
func seen(_ desired: DesiredResource, _ asDesired: Bool) -> Observation {
    let observed: Observed =
        switch desired.resource {
        case .package:
            .package(PackageObserved(version: asDesired ? "1" : nil, status: asDesired ? "installed" : "not-installed"))
        case .file(let spec):
            .file(FileObserved(type: .file, permissions: spec.permissions, digest: asDesired ? a : b, desiredDigest: a))
        case .unit: .unit(UnitObserved(load: "loaded", active: asDesired ? "active" : "inactive", unitFile: "enabled"))
        case .aptRepository:
            .aptRepository(AptRepositoryObserved(digest: asDesired ? a : nil, desiredDigest: a, fetched: asDesired))
        case .probe: .probe(ProbeObserved(serves: asDesired, detail: asDesired ? "" : "refused"))
        case .command: .command(CommandObserved(done: asDesired))
        case .sysctl(let spec):
            .sysctl(SysctlObserved(live: asDesired ? spec.value : "other", saved: spec.value, writable: false))
        default: .unobservable(reason: "not in these tests")
        }
    return Observation(id: desired.id, observed: observed, digest: a)
}

/// A plan of one node, where `changed` are not as desired.
func plan(_ resources: [DesiredResource], changed: Set<ResourceID>) throws -> ResourcePlanner.Result {
    try ResourcePlanner(
        node: "n", desired: resources, observations: resources.map { seen($0, !changed.contains($0.id)) }
    ).plan()
}

extension ResourcePlanner.Result {
    subscript(_ id: StepID) -> Step? { steps.first { $0.id == id } }
}

extension Step {
    var items: [ConvergeItem] { if case .converge(let items) = action { items } else { [] } }
}

/// The code of what a body throws; nil where it throws nothing.
func code(_ body: () throws -> some Any) -> ErrorCode? {
    do {
        _ = try body()
        return nil
    } catch { return (error as? BasculeError)?.code ?? "another-error" }
}

/// The example's migration, its text changed as a test likes.
enum Example {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "../../../Examples/girlycrea"
    ).standardizedFileURL.path

    static func context(replacing: [String: String] = [:], _ adjust: (inout Fleet) -> Void = { _ in }) throws
        -> MigrationContext
    {
        var text = try String(contentsOfFile: folder + "/fleet.yaml", encoding: .utf8)
        for (old, new) in replacing {
            guard text.contains(old) else { throw BasculeError(.defect, "the example does not hold \(old)") }
            text = text.replacingOccurrences(of: old, with: new)
        }
        var parsed = try FleetFile.parse(text: text, path: folder + "/fleet.yaml")
        adjust(&parsed.fleet)
        var compile = CompileContext(fleet: parsed.fleet, positions: parsed.positions, digest: { Digest(of: $0) })
        compile.addresses = ["saas": "10.9.0.2", "vps1": "10.9.0.3"]
        for app in parsed.fleet.apps.keys {
            compile.archives[app] = SourceArchive(digest: Digest(of: "source"), size: 10)
        }
        let journey = try JourneyFile.parse(path: folder + "/journeys/shop.yaml")
        return MigrationContext(
            fleet: parsed.fleet, compiled: try Catalogue.compile(compile),
            addresses: ["saas": "10.9.0.2", "vps1": "10.9.0.3"],
            hostKeys: ["saas": "ssh-ed25519 AAAA"], ports: ["saas": 2222],
            journeys: Dictionary(uniqueKeysWithValues: parsed.fleet.apps.keys.map { ($0, journey) }), attempt: 3,
            records: ["shop.example/A": ["10.9.0.2"]])
    }

    static func plan(replacing: [String: String] = [:], _ adjust: (inout Fleet) -> Void = { _ in }) throws -> (
        steps: [Step], outline: MigrationOutline
    ) {
        guard let planner = try MigrationPlanner(try context(replacing: replacing, adjust)) else {
            throw BasculeError(.defect, "no migration")
        }
        return try planner.plan()
    }
}
