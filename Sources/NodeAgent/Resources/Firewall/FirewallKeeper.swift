import BasculeCrypto
import BasculeModel

/// The node's packet filter: one nftables table of our own, in the kernel and for the next boot.
enum FirewallKeeper {
    static let unitName = "bascule-firewall.service"

    /// What was loaded from which file: the kernel's listing cannot be compared with the file itself.
    private struct Loaded: Codable {
        var file: Digest
        var listing: Digest
    }

    static func observe(_ spec: FirewallSpec, _ context: NodeContext) throws -> FirewallObserved {
        let desired = Digest(of: try FirewallRules.text(spec, sshPorts: SSHPorts.current()))
        let bytes = try AtomicFile.read(FirewallRules.path)
        let saved = bytes.map { Digest(of: $0) }
        var isLoaded = false
        if let saved, let record = StateFile.load(record(context), as: Loaded.self), record.file == saved {
            isLoaded = try listing() == record.listing && isSetForBoot()
        }
        return FirewallObserved(
            savedDigest: saved, loaded: isLoaded, desiredDigest: desired,
            text: bytes.map { String(decoding: $0, as: UTF8.self) })
    }

    static func apply(_ spec: FirewallSpec, _ context: NodeContext) throws {
        let text = try FirewallRules.text(spec, sshPorts: SSHPorts.current())
        let candidate = "\(context.stateDirectory)/firewall-candidate.nft"
        try AtomicFile.write(candidate, Array(text.utf8), Permissions(mode: 0o600))
        defer { try? ParentDirectory.find(candidate)?.remove() }
        try nft(["-c", "-f", candidate], "Checking the packet filter")
        try AtomicFile.write(FirewallRules.path, Array(text.utf8), Permissions(mode: 0o644))
        try load(context)
    }

    /// Loads the file that stands on disk and enables it for the next boot.
    static func load(_ context: NodeContext) throws {
        guard let bytes = try AtomicFile.read(FirewallRules.path) else { return }
        try nft(["-f", FirewallRules.path], "Loading the packet filter")
        if let listing = try listing() {
            try StateFile.save(record(context), Loaded(file: Digest(of: bytes), listing: listing))
        }
        if try !isUnitWhole() {
            try AtomicFile.write(unitPath, Array(FirewallRules.unit.utf8), Permissions(mode: 0o644))
        }
        try SystemdChanges.take(enable: [unitName])
    }

    static var unitPath: String { "\(UnitKeeper.directory)/\(unitName)" }

    private static func isUnitWhole() throws -> Bool {
        try FileDigests.hash(unitPath) == SHA256.hash(Array(FirewallRules.unit.utf8))
    }

    /// Whether the next boot loads the filter: a unit that was taken away, edited or disabled shows only then.
    private static func isSetForBoot() throws -> Bool {
        try isUnitWhole()
            && FileIdentity(path: "\(UnitKeeper.directory)/sysinit.target.wants/\(unitName)") != nil
    }

    /// Takes the whole filter away, as it was before there was one.
    static func unload(_ context: NodeContext) throws {
        _ = try Subprocess.run(["nft", "delete", "table", "inet", "bascule"])
        _ = try Systemctl.attempt(["disable", "--", unitName])
        for path in [FirewallRules.path, unitPath, record(context)] {
            try ParentDirectory.find(path)?.remove()
        }
        try SystemdChanges.take()
    }

    private static func listing() throws -> Digest? {
        let outcome = try Subprocess.run(["nft", "-n", "list", "table", "inet", "bascule"])
        return outcome.status == 0 ? Digest(of: outcome.stdout) : nil
    }

    private static func nft(_ arguments: [String], _ what: String) throws {
        do {
            try Subprocess.require(["nft"] + arguments, what, code: .firewallRefused)
        } catch let error as BasculeError where error.code == .unsupported {
            throw BasculeError(
                .missingPrerequisite, "The packet filter needs the package nftables", at: .thing("nft"),
                hint: "declare `package: nftables` for this node")
        }
    }

    private static func record(_ context: NodeContext) -> String { "\(context.stateDirectory)/firewall.json" }
}
