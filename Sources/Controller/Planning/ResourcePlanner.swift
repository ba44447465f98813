import BasculeModel

/// Turns what is desired and what was observed on one node into steps. Pure.
package struct ResourcePlanner {
    /// The steps of one node, and what needs none.
    package struct Result: Sendable {
        package var steps: [Step] = []
        package var satisfied: [ResourceID: String] = [:]
        package var unreachable: [ResourceID: String] = [:]
    }

    private let node: NodeName
    private let desired: [DesiredResource]
    private let observations: [ResourceID: Observation]
    private let edges: [ResourceID: Set<ResourceID>]
    private let byID: [ResourceID: DesiredResource]
    private let confirmWithin: Double

    /// - Parameters:
    ///   - observations: nil where the node cannot be looked at yet: then every step is conditional.
    ///   - confirmWithin: seconds within which a fresh login has to confirm what could lock the administrator out.
    package init(
        node: NodeName, desired: [DesiredResource], observations: [Observation]?, confirmWithin: Double = 60
    ) throws {
        self.confirmWithin = confirmWithin
        (self.node, self.desired) = (node, desired)
        self.observations = Dictionary((observations ?? []).map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        byID = Dictionary(desired.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let dependencies = Dependencies(desired)
        try dependencies.check()
        edges = dependencies.edges
    }

    package func plan() -> Result {
        var result = Result()
        var changing: [ResourceID: Change?] = [:]
        for resource in desired {
            guard let seen = observations[resource.id] else {
                changing[resource.id] = .some(nil)
                continue
            }
            if case .unobservable = seen.observed {
                changing[resource.id] = .some(nil)
                continue
            }
            switch resource.resource.verdict(seen.observed) {
            case .satisfied(let reason): result.satisfied[resource.id] = reason
            case .unreachable(let reason): result.unreachable[resource.id] = reason
            case .change(let change): changing[resource.id] = .some(change)
            }
        }
        // What is satisfied now may not be so once what it reacts to has changed, and what reacts to that, and so on.
        let reactive = desired.filter(isReactive)
        while let resource = reactive.first(where: { resource in
            result.satisfied[resource.id] != nil && triggers(of: resource).contains { changing[$0] != nil }
        }) {
            changing[resource.id] = .some(nil)
            result.satisfied[resource.id] = nil
        }
        let needs = changing.keys.reduce(into: [:]) { $0[$1] = self.changingNeeds(of: $1, among: Set(changing.keys)) }
        let groups = RiskGroups(node: node, desired: desired, needs: needs)
        let packages = desired.filter { changing[$0.id] != nil && $0.resource.kind == .package }
        let packageStep = StepID("\(node)/packages")
        if !packages.isEmpty {
            let own = Set(packages.flatMap { needs[$0.id] ?? [] }.filter { byID[$0]?.resource.kind != .package })
            result.steps.append(
                step(
                    packageStep, packages, changing,
                    requires: own.sorted().map { groups.steps[$0] ?? StepID($0.rawValue) },
                    needs: Dictionary(uniqueKeysWithValues: packages.map { ($0.id, own) })))
        }
        func requires(_ own: Set<ResourceID>, of step: StepID) -> [StepID] {
            let hasPackage = own.contains { byID[$0]?.resource.kind == .package }
            let others = Set(
                own.filter { byID[$0]?.resource.kind != .package }.map { groups.steps[$0] ?? StepID($0.rawValue) }
            ).subtracting([step])
            return (hasPackage ? [packageStep] : []) + others.sorted()
        }
        var grouped: Set<StepID> = []
        for resource in desired where changing[resource.id] != nil && resource.resource.kind != .package {
            let id = groups.steps[resource.id] ?? StepID(resource.id.rawValue)
            let members = groups.members[id] ?? [resource]
            guard grouped.insert(id).inserted else { continue }
            let own = members.reduce(into: Set()) { $0.formUnion(needs[$1.id] ?? []) }
            var made = step(id, members, changing, requires: requires(own, of: id), needs: needs)
            if groups.members[id] != nil { made.confirmWithin = confirmWithin }
            result.steps.append(made)
        }
        return result
    }

    private func step(
        _ id: StepID, _ resources: [DesiredResource], _ changing: [ResourceID: Change?], requires: [StepID],
        needs: [ResourceID: Set<ResourceID>]
    ) -> Step {
        let doubts = resources.map { uncertainty(of: $0, needs: needs[$0.id] ?? []) }
        let reason = doubts.lazy.compactMap { $0 }.first
        let isOpaque = resources.allSatisfy { $0.resource.kind == .command }
        let items = zip(resources, doubts).map { resource, doubt in
            ConvergeItem(
                desired: resource, before: doubt == nil ? observations[resource.id]?.digest : nil,
                change: changing[resource.id].flatMap { $0 })
        }
        let actions = items.map { ($0.desired.resource, $0.change?.action ?? .update) }
        let price =
            actions.map { $0.0.reversal(of: $0.1) }.max { self.rank($0) < self.rank($1) } ?? .reversible(seconds: 0)
        let isDeployed = resources.allSatisfy { isPartOfDeployment($0) }
        let isPackages = resources.first?.resource.kind == .package
        return Step(
            id: id, phase: isDeployed ? .deploy : .install, node: node,
            title: isPackages ? title(packages: items) : items.map(title).joined(separator: ", "),
            action: .converge(items), requires: requires,
            certainty: isOpaque ? .opaque : reason.map { .conditional(reason: $0) } ?? .exact, reversal: price,
            cancellation: resources.first?.resource.kind == .command ? .abortable : .runsToCompletion,
            estimate: isPackages ? 4 + 3 * Double(items.count) : actions.reduce(0) { $0 + $1.0.estimate(of: $1.1) })
    }

    private func title(packages items: [ConvergeItem]) -> String {
        let names = items.map { item -> String in
            guard case .package(let spec) = item.desired.resource else { return "" }
            return spec.state == .absent ? "-\(spec.name)" : spec.version.map { "\(spec.name)=\($0)" } ?? spec.name
        }
        return "packages \(names.joined(separator: " "))"
    }

    /// An app, its release, and what proves that it serves.
    private func isPartOfDeployment(_ desired: DesiredResource) -> Bool {
        switch desired.resource.kind {
        case .release, .app: true
        case .probe:
            edges[desired.id]?.contains { id in
                byID[id].map { [.release, .app].contains($0.resource.kind) } ?? false
            } ?? false
        default: false
        }
    }

    private func title(_ item: ConvergeItem) -> String {
        let resource = item.desired.resource
        if resource.kind == .probe { return "verify that \(resource.name) serves" }
        return "\(item.change?.action.rawValue ?? "converge") \(resource.kind.rawValue) \(resource.name)"
    }

    private func rank(_ reversal: Reversal) -> Double {
        switch reversal {
        case .reversible(let seconds): seconds
        case .reversibleUntil: 1e6
        case .pointOfNoReturn: 1e9
        }
    }

    /// Why the present observation need not be the one that the step will find; nil where it will be.
    private func uncertainty(of resource: DesiredResource, needs: Set<ResourceID>) -> String? {
        guard let seen = observations[resource.id] else { return "the node has no agent yet" }
        if case .unobservable(let reason) = seen.observed { return reason }
        let kinds: Set<ResourceKind> =
            switch resource.resource.kind {
            case .unit: [.package, .file, .directory, .symlink, .certificate, .unit]
            case .app: [.package, .release, .unit, .file]
            case .release: [.package]
            case .postgresRole, .postgresDatabase, .postgresExtension, .postgresSetting: [.package, .unit]
            case .package: [.aptRepository]
            case .command: []
            case .probe: Set(ResourceKind.allCases)
            default: [.package]
            }
        guard let cause = needs.sorted().first(where: { byID[$0].map { kinds.contains($0.resource.kind) } ?? false })
        else { return nil }
        return byID[cause]?.resource.kind == .package ? "packages are installed first" : "after \(cause)"
    }

    /// The nearest changing resources that this one needs, through those that do not change.
    private func changingNeeds(of id: ResourceID, among changing: Set<ResourceID>) -> Set<ResourceID> {
        var found: Set<ResourceID> = []
        var seen: Set<ResourceID> = [id]
        var pending = Array(edges[id] ?? [])
        while let next = pending.popLast() {
            guard seen.insert(next).inserted else { continue }
            if changing.contains(next) { found.insert(next) } else { pending.append(contentsOf: edges[next] ?? []) }
        }
        return found
    }

    private func isReactive(_ resource: DesiredResource) -> Bool {
        [.unit, .app, .probe].contains(resource.resource.kind) || wantsAbsence(resource)
    }

    /// Nothing, or nothing running, is desired: a package that is installed now may bring just that.
    private func wantsAbsence(_ resource: DesiredResource) -> Bool {
        switch resource.resource {
        case .file(let spec): spec.state == .absent
        case .directory(let spec): spec.state == .absent
        case .symlink(let spec): spec.state == .absent
        case .user(let spec): spec.state == .absent
        case .unit(let spec): spec.masked || spec.state == .stopped
        default: false
        }
    }

    /// Resources whose change makes this one act: a unit's configuration files, an app's release and unit file.
    private func triggers(of resource: DesiredResource) -> Set<ResourceID> {
        let needs = edges[resource.id] ?? []
        if wantsAbsence(resource) { return needs.filter { byID[$0]?.resource.kind == .package } }
        switch resource.resource {
        case .unit(let spec):
            let paths = Set(spec.reloadOn + spec.restartOn)
            return needs.filter { id in
                switch byID[id]?.resource {
                case .file(let file): paths.contains(file.path)
                case .symlink(let link): paths.contains(link.path)
                case .certificate(let certificate):
                    paths.contains(certificate.certificatePath) || paths.contains(certificate.keyPath)
                default: false
                }
            }
        case .app:
            return needs.filter { id in
                switch byID[id]?.resource.kind {
                case .release, .unit: byID[id]?.resource.name != "nginx.service"
                default: false
                }
            }
        // Whatever the service is made of: packages reach it through its unit.
        case .probe: return needs.filter { byID[$0]?.resource.kind != .package }
        default: return []
        }
    }
}
