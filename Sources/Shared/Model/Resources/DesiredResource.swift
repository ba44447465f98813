/// A resource on a node, with what must be there before it.
package struct DesiredResource: Hashable, Codable, Sendable {
    package var id: ResourceID
    package var resource: Resource
    /// Resources of the same node that must be as desired first.
    package var requires: [ResourceID]
    /// Who asked for it, for people: `service postgresql`, `app shop`, `fleet.yaml:31:5`.
    package var origin: String

    package init(_ resource: Resource, on node: NodeName, requires: [ResourceID] = [], origin: String) {
        id = resource.id(on: node)
        (self.resource, self.requires, self.origin) = (resource, requires, origin)
    }
}

/// An observation with the digest by which a step recognises it again.
package struct Observation: Hashable, Codable, Sendable {
    package var id: ResourceID
    package var observed: Observed
    /// SHA-256 over the observation's canonical encoding.
    package var digest: Digest

    package init(id: ResourceID, observed: Observed, digest: Digest) {
        (self.id, self.observed, self.digest) = (id, observed, digest)
    }
}

extension Resource {
    /// The secrets that an agent must hold to observe or apply this resource.
    package var secrets: Set<SecretName> {
        switch self {
        case .file(let spec): spec.content.secrets
        case .unit(let spec):
            spec.dropIns.values.reduce(into: spec.content?.secrets ?? []) { $0.formUnion($1.secrets) }
        case .aptRepository(let spec): spec.key.secrets
        case .postgresRole(let spec): spec.password.map { [$0] } ?? []
        case .release(let spec):
            (Array(spec.env.values) + Array(spec.buildEnv.values)).reduce(into: []) { $0.formUnion($1.secrets) }
        case .probe(let spec): spec.secrets
        case .package, .directory, .symlink, .group, .user, .timer, .sysctl, .firewall, .certificate, .command,
            .postgresDatabase, .postgresExtension, .postgresSetting, .app:
            []
        }
    }

    /// The uploaded contents that an agent must hold to apply this resource.
    package var blobs: [Digest] {
        let content: Content? =
            switch self {
            case .file(let spec): spec.content
            case .release(let spec): spec.archive
            case .aptRepository(let spec): spec.key
            default: nil
            }
        guard case .blob(let digest, _)? = content else { return [] }
        return [digest]
    }

    /// What undoing a change of this resource costs.
    package func reversal(of action: ChangeAction) -> Reversal {
        switch self {
        case .package: action == .create ? .reversible(seconds: 20) : .reversible(seconds: 30)
        case .file, .directory, .symlink, .group, .sysctl, .firewall, .certificate, .timer: .reversible(seconds: 1)
        case .user: .reversible(seconds: 1)
        case .unit: .reversible(seconds: 3)
        case .aptRepository: .reversible(seconds: 5)
        case .command: .pointOfNoReturn(reason: "an opaque command has no known inverse")
        case .postgresRole, .postgresDatabase, .postgresExtension:
            action == .create ? .reversibleUntil(event: "data is in it") : .reversible(seconds: 1)
        case .postgresSetting: .reversible(seconds: 4)
        case .release: .reversible(seconds: 1)
        case .app: .reversible(seconds: 15)
        case .probe: .reversible(seconds: 0)
        }
    }

    /// How long a change usually takes, in seconds: what the plan's estimate adds up until runs have been measured.
    package func estimate(of action: ChangeAction) -> Double {
        switch self {
        case .package: 6
        case .unit: action == .reload ? 0.2 : 1
        case .aptRepository: 4
        case .command: 5
        case .certificate, .postgresDatabase: 0.3
        case .release: 5
        case .app: 4
        case .probe: 0.5
        default: 0.05
        }
    }
}
