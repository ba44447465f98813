import BasculeModel
import Foundation

extension Lab {
    /// Brings nodes up, all at once, building their images first if need be. Cleans up after crashed runs before.
    /// Cancelling the task ends it soon, and removes the nodes made by this call.
    /// - Parameters:
    ///   - existing: what to do with nodes of these names that are already there.
    ///   - deadline: how long one node may take to be multi-user.
    /// - Returns: the nodes in the order asked for, multi-user.
    /// - Throws: `lab-unavailable`, `lab-image-failed`, `lab-no-subnet`, `lab-boot-failed`; then none of the nodes made
    ///   by this call is left.
    package func up(
        nodes specs: [LabNodeSpec], existing: Existing = .keep, deadline: Duration = .seconds(60),
        progress: @escaping LabProgress = { _ in }
    ) async throws -> [LabNode] {
        try Self.preflight()
        for spec in specs { try LabNames.check(node: spec.name) }
        guard Set(specs.map(\.name)).count == specs.count else {
            throw BasculeError(.invalidInput, "two throwaway nodes with one name")
        }
        try paths.makeAll()
        try await reapOthers(progress: progress)
        let images = LabImages(paths: paths, progress: progress)
        // Kept shared until the nodes' records name their images: nothing prunes in between.
        return try await FileLock.with(paths.imageUseLock, mode: .shared) {
            var lowers: [LabImage: [String]] = [:]
            for image in specs.map(\.image) where lowers[image] == nil {
                lowers[image] = try await images.lower(for: image)
            }
            let ready = lowers
            return try await FileLock.with(paths.lock(of: labName)) {
                try await reapOwn(progress: progress)
                return try await upLocked(specs, lowers: ready, existing: existing, deadline: deadline)
            }
        }
    }

    private func upLocked(
        _ specs: [LabNodeSpec], lowers: [LabImage: [String]], existing: Existing, deadline: Duration
    ) async throws -> [LabNode] {
        var records = paths.loadNodes(of: labName)
        var started: [NodeRecord] = []
        do {
            let network = try await ensureNetwork()
            for spec in specs {
                let present = records.first { $0.spec.name == spec.name }
                if let present, existing == .replace {
                    try await remove(present, network: network)
                    records.removeAll { $0.spec.name == spec.name }
                } else if present != nil {
                    continue
                }
                let record = try newRecord(spec, lower: lowers[spec.image] ?? [], among: records, network: network)
                records.append(record)
                started.append(record)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for record in records where specs.contains(where: { $0.name == record.spec.name }) {
                    let isNew = started.contains { $0.spec.name == record.spec.name }
                    group.addTask { try await bring(record, isNew: isNew, network: network, deadline: deadline) }
                }
                try await group.waitForAll()
            }
        } catch {
            let made = started
            try? await uncancelled {
                if let lab = paths.loadLab(labName) {
                    let network = LabNetwork(tag: lab.tag, subnet: lab.subnet)
                    for record in made.reversed() { try? await remove(record, network: network) }
                }
                try await removeLabIfEmpty()
            }
            throw error is CancellationError ? BasculeError(.cancelled, "bringing nodes up was cancelled") : error
        }
        var nodes: [LabNode] = []
        for spec in specs { nodes.append(try await node(spec.name)) }
        return nodes
    }

    /// Boots a stopped node again, with the same files and the same address. A running one is left alone.
    package func boot(_ name: NodeName, deadline: Duration = .seconds(60)) async throws -> LabNode {
        try await FileLock.with(paths.lock(of: labName)) {
            let network = try await ensureNetwork()
            try await bring(try record(of: name), isNew: false, network: network, deadline: deadline)
            return try await node(name)
        }
    }

    private func bring(_ given: NodeRecord, isNew: Bool, network: LabNetwork, deadline: Duration) async throws {
        var record = given
        let node = paths.node(record.spec.name, of: labName)
        let boot = LabBoot(node: node, network: network)
        do {
            if let supervisor = record.supervisor, supervisor.isAlive {
                _ = try await boot.waitUntilUp(supervisor, deadline: deadline)
                return
            }
            if isNew {
                try await boot.prepare(&record)
            } else {
                try await LabCgroup(tag: network.tag, machine: record.machine).kill(supervisor: record.supervisor?.pid)
                try await boot.mount(record)
            }
            let supervisor = try boot.start(record)
            Failpoint.hit("controller.lab.started")
            record.supervisor = supervisor
            record.isStopped = false
            try node.save(record)
            _ = try await boot.waitUntilUp(supervisor, deadline: deadline)
        } catch let error as BasculeError {
            throw error.placed(at: .node(name: record.spec.name.rawValue, subject: nil))
        }
    }

    private func newRecord(
        _ spec: LabNodeSpec, lower: [String], among others: [NodeRecord], network: LabNetwork
    ) throws -> NodeRecord {
        let used = Set(others.map(\.host))
        guard let host = (10..<250).first(where: { !used.contains($0) }) else {
            throw BasculeError(.invalidInput, "a lab has room for 240 nodes")
        }
        let random = UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
        let record = NodeRecord(
            spec: spec, lower: lower, host: host, address: network.subnet.address(host),
            machine: LabNames.machine(tag: network.tag, host: host), machineID: random, hostKeys: [], supervisor: nil,
            isStopped: false)
        let node = paths.node(spec.name, of: labName)
        try LabFiles.makeDirectory(node.directory)
        try node.save(record)
        return record
    }

    /// The lab's record and bridge, made on first use. The machine-wide lock keeps two labs from choosing one subnet.
    private func ensureNetwork() async throws -> LabNetwork {
        try await FileLock.with(paths.lock) {
            var lab = paths.loadLab(labName)
            if lab == nil {
                let others = paths.labNames().compactMap(paths.loadLab)
                let taken = try await LabNetwork.taken() + others.map(\.subnet) + Self.resolverAddresses()
                guard let subnet = LabSubnet.choose(taken: taken) else {
                    throw BasculeError(
                        .labNoSubnet, "every subnet that a lab could take overlaps a route of this machine",
                        hint: "Look at `ip route`: a very wide route, such as a VPN's, may cover all private addresses."
                    )
                }
                let tags = Set(others.map(\.tag))
                let tag = (0...).lazy.map { LabNames.tag(labName: labName, attempt: $0) }.first { tag in
                    !tags.contains(tag) && !LabFiles.exists("/sys/class/net/\(LabNames.bridge(tag: tag))")
                }
                lab = LabRecord(
                    labName: labName, tag: tag ?? "", subnet: subnet, lifetime: lifetime,
                    owner: lifetime == .process ? ProcessIdentity.current : nil)
                try LabFiles.makeDirectory(paths.nodes(of: labName))
                if let lab { try LabFiles.write(LabFiles.encode(lab), to: paths.record(of: labName), mode: 0o600) }
            }
            guard let lab else { throw BasculeError(.defect, "a lab without a record") }
            try LabMounts.share(paths.lab(labName))
            let network = LabNetwork(tag: lab.tag, subnet: lab.subnet)
            try await network.up(paths: paths)
            return network
        }
    }

    /// The resolvers' addresses: a node must reach them through the uplink, even where no route names them.
    private static func resolverAddresses() -> [IPv4Network] {
        LabBoot.resolver().split(separator: "\n").filter { $0.hasPrefix("nameserver") }
            .compactMap { $0.split(whereSeparator: \.isWhitespace).last.flatMap { IPv4Network($0) } }
    }
}
