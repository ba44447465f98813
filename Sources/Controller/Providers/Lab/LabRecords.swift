import BasculeModel

/// What is kept of a lab, so that the next run can clean up after a crash of this one.
struct LabRecord: Codable, Sendable {
    var labName: String
    var tag: String
    var subnet: IPv4Network
    var lifetime: Lab.Lifetime
    /// The process whose end also ends the lab; nil for a lab that stays.
    var owner: ProcessIdentity?

    /// Nobody wants this lab any more.
    var isAbandoned: Bool { lifetime == .process && owner?.isAlive != true }
}

/// What is kept of a node. Written before anything of the node exists.
struct NodeRecord: Codable, Sendable {
    var spec: LabNodeSpec
    /// The image's directories, topmost first.
    var lower: [String]
    /// The address's number within the subnet.
    var host: Int
    var address: String
    var machine: String
    var machineID: String
    var hostKeys: [String]
    /// The systemd-nspawn process; nil before the first boot.
    var supervisor: ProcessIdentity?
    /// Stopped by `kill` or `stop`, and to be kept for `boot`.
    var isStopped: Bool

    var isRunning: Bool { supervisor?.isAlive == true }
    /// Its process died without our doing, or never started.
    var isDead: Bool { !isStopped && !isRunning }
}

/// Where things are below the lab's home.
struct LabPaths: Sendable {
    let home: String

    var lock: String { "\(home)/lock" }
    var forwarding: String { "\(home)/ip-forward-was-off" }
    var images: String { "\(home)/images" }
    var imageBuildLock: String { "\(home)/locks/images-build" }
    var imageUseLock: String { "\(home)/locks/images-use" }
    var labs: String { "\(home)/labs" }
    func lock(of lab: String) -> String { "\(home)/locks/lab-\(lab)" }
    func lab(_ name: String) -> String { "\(labs)/\(name)" }
    func record(of lab: String) -> String { "\(labs)/\(lab)/lab.json" }
    func nodes(of lab: String) -> String { "\(labs)/\(lab)/nodes" }

    func makeAll() throws {
        try LabFiles.makeDirectory(home, mode: 0o711)
        for path in ["\(home)/locks", images, labs] { try LabFiles.makeDirectory(path) }
    }

    func labNames() -> [String] { LabFiles.list(labs) }
    func loadLab(_ name: String) -> LabRecord? { LabFiles.decode(LabRecord.self, from: record(of: name)) }
    func loadNodes(of lab: String) -> [NodeRecord] {
        LabFiles.list(nodes(of: lab)).compactMap {
            LabFiles.decode(NodeRecord.self, from: NodePaths(lab: self, labName: lab, node: NodeName($0)).record)
        }
    }
    func node(_ name: NodeName, of lab: String) -> NodePaths { NodePaths(lab: self, labName: lab, node: name) }
}

/// Where the parts of one node are.
struct NodePaths: Sendable {
    let directory: String

    init(lab: LabPaths, labName: String, node: NodeName) { directory = "\(lab.nodes(of: labName))/\(node)" }

    var record: String { "\(directory)/node.json" }
    var root: String { "\(directory)/root" }
    var console: String { "\(directory)/console.log" }
    var diskFile: String { "\(directory)/disk.ext4" }
    var disk: String { "\(directory)/disk" }
    /// `upper` and `work` lie beside each other on one file system, as an overlay wants it.
    func upper(_ kind: LabDisk) -> String { kind == .host ? "\(directory)/upper" : "\(disk)/upper" }
    func work(_ kind: LabDisk) -> String { kind == .host ? "\(directory)/work" : "\(disk)/work" }

    func save(_ node: NodeRecord) throws {
        Failpoint.hit("controller.lab.record.before")
        try LabFiles.write(LabFiles.encode(node), to: record, mode: 0o600)
        Failpoint.hit("controller.lab.record.after")
    }
}
