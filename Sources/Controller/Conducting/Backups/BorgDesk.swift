import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// What the controller has agents do with Borg's repositories, and its own record of what is in them.
package struct BorgDesk: Sendable {
    /// One node's repository at one target.
    package struct Place: Sendable {
        /// Whose files they are.
        package var node: NodeName
        package var target: String
        /// On whose disk the repository is: what is asked there, a compromised `node` cannot answer.
        package var keeper: NodeName
        /// As the keeper sees it.
        package var repository: BorgRepository
        /// As another machine sees it that has the keys.
        package var remote: BorgRepository?
    }

    package let session: FleetSession
    package init(session: FleetSession) { self.session = session }

    /// The repositories that the fleet file declares, in the order in which one would restore from them.
    package func places() async throws -> [Place] {
        guard let backup = session.fleet.services.backup, let borg = backup.borg else { return [] }
        let targets = backup.targets(of: borg.targets)
        let folder = targets.compactMap {
            if case .folder(let folder) = $0.target { "\(folder.path)/borg" } else { nil }
        }
        .first
        var places: [Place] = []
        for node in session.fleet.active.nodes(with: .backup) {
            for (name, target) in targets {
                switch target {
                case .folder(let folder):
                    places.append(
                        Place(
                            node: node, target: name, keeper: node,
                            repository: BorgRepository(location: "\(folder.path)/borg", passphrase: backup.key)))
                case .node(let vault) where vault.node != node:
                    places.append(try await self.vault(vault, name, node, backup.key))
                case .node: break
                case .s3(let bucket):
                    let copy = try self.bucket(bucket.s3, node)
                    var own = copy
                    if let prune = bucket.s3.prune {
                        (own.accessKey, own.secretKey) = (prune.accessKey, prune.secretKey)
                    }
                    places.append(
                        Place(
                            node: node, target: name, keeper: node,
                            repository: BorgRepository(
                                location: folder ?? Catalogue.borgRepository, passphrase: backup.key, bucket: own),
                            remote: BorgRepository(
                                location: "/var/lib/bascule-restore/borg-\(name)", passphrase: backup.key, bucket: copy)
                        ))
                }
            }
        }
        return places
    }

    private func vault(_ vault: BackupNode, _ name: String, _ node: NodeName, _ key: SecretName) async throws -> Place {
        let path = "\(vault.path)/borg/\(node)"
        var remote: BorgRepository?
        if let endpoint = try await session.endpoint(vault.node) {
            let host = endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host
            remote = BorgRepository(
                location: "ssh://\(Catalogue.vaultUser)@\(host):\(endpoint.port)\(path)", passphrase: key,
                login: Catalogue.borgLogin(node),
                hostKey: try await session.pins(vault.node).first.map {
                    $0.line.split(separator: " ").prefix(2).joined(separator: " ")
                })
        }
        return Place(
            node: node, target: name, keeper: vault.node,
            repository: BorgRepository(location: path, passphrase: key, user: Catalogue.vaultUser), remote: remote)
    }

    private func bucket(_ bucket: BackupBucket.S3, _ node: NodeName) throws -> BorgBucket {
        BorgBucket(
            endpoint: bucket.endpoint, region: bucket.region, bucket: bucket.bucket,
            prefix: Catalogue.borgFolder(bucket, session.fleet.name, node), accessKey: bucket.accessKey,
            secretKey: bucket.secretKey, storageClass: bucket.storageClass, pathStyle: bucket.pathStyle,
            authority: try bucket.caBundle.map {
                try String(contentsOfFile: "\(session.fleet.folder)/\($0)", encoding: .utf8)
            })
    }

    /// A plan of one task on one node. The passphrase leaves a node that keeps another's repository when it is over.
    package func plan(_ task: BorgTask, on node: NodeName, title: String, estimate: Double) throws -> Planned {
        let id = RandomBytes.identifier()
        let work = StepID("\(node)/borg-\(id)")
        var steps = [
            Step(
                id: work, phase: .install, node: node, title: title, action: .data(.borg(task)), certainty: .opaque,
                reversal: .pointOfNoReturn(reason: "a task of Borg's"), estimate: estimate)
        ]
        if task.repository.user != nil {
            steps.append(
                Step(
                    id: StepID("\(node)/borg-forget-\(id)"), phase: .deploy, node: node,
                    title: "forget the passphrase on \(node)",
                    action: .migrate(.forgetSecrets([task.repository.passphrase])),
                    reversal: .reversible(seconds: 0), estimate: 0.1))
        }
        let plan = Plan(
            id: PlanID(RandomBytes.identifier()), fleet: session.fleet.name,
            topology: session.fleet.activeTopology.rawValue, revision: session.revision,
            created: Date().timeIntervalSince1970, steps: steps)
        try session.store.save(plan)
        return Planned(
            plan: plan, compiled: Compiled(), blobs: [:], lease: nil, unreachable: [:], late: session.usedNodes)
    }

    /// What Borg's task in a run reported.
    package static func report(_ run: RunReport) -> BorgReport? {
        run.results.values.lazy.compactMap { result in
            if case .data(.borg(let report))? = result.output { report } else { nil }
        }.first
    }

    // MARK: - The record

    private func setting(_ place: Place) -> String { "borg/\(place.node)/\(place.target)" }

    /// Archives that the controller has seen and not deleted.
    package func record(of place: Place) throws -> [BorgArchive] {
        guard let text = try session.store.setting(setting(place)) else { return [] }
        return try JSONDecoder().decode([BorgArchive].self, from: Data(text.utf8))
    }

    package func set(_ archives: [BorgArchive], of place: Place) throws {
        try session.store.set(setting(place), to: String(decoding: try JSONEncoder().encode(archives), as: UTF8.self))
    }

    /// Adds what was seen. What is on record and was not seen stays there: its absence is to be noticed.
    /// - Returns: archives on record that are gone.
    @discardableResult
    package func note(_ seen: [BorgArchive], of place: Place) throws -> [BorgArchive] {
        let known = try record(of: place)
        let names = Set(known.map(\.name))
        let fresh = seen.filter { !names.contains($0.name) }
        if !fresh.isEmpty { try set(known + fresh, of: place) }
        let there = Set(seen.map(\.name))
        return known.filter { !there.contains($0.name) }
    }
}
