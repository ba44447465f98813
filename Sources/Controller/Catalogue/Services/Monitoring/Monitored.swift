import BasculeFleet
import BasculeModel

/// All that is watched, gathered while exporters are placed.
struct Monitored {
    /// What Prometheus reads under one name.
    struct Job {
        var name: String
        var path = "/metrics"
        var targets: [Target] = []
        /// Series that a target has, rounded up: for the memory that they take.
        var series = 300
        /// Where the exporter is that looks at targets for Prometheus; nil where targets are exporters themselves.
        var proxy: (address: String, module: String?)?
    }

    struct Target {
        var address: String
        var labels: [String: String]
    }

    let service: Monitoring
    let home: NodeName
    private(set) var jobs: [Job] = []
    var appsOfErrors: [AppName] = []
    var hasAccessLogs = false
    var hasPgBouncer = false
    var hasMail = false
    var hasSites = false

    init(service: Monitoring, home: NodeName) { (self.service, self.home) = (service, home) }

    mutating func add(_ target: Target, to job: Job) {
        if !jobs.contains(where: { $0.name == job.name }) { jobs.append(job) }
        guard let index = jobs.firstIndex(where: { $0.name == job.name }) else { return }
        jobs[index].targets.append(target)
    }

    func has(_ job: String) -> Bool { jobs.contains { $0.name == job } }
}

/// A program of monitoring whose Debian unit reads its arguments from `/etc/default`.
struct Daemon {
    /// Package and unit.
    var name: String
    var arguments: [String]
    /// Bytes that it may use.
    var memory: Int
    var why: String
    /// Folders that it writes.
    var writable: [String] = []
    var environment: [String] = []
    var reloadOn: [String] = []
    var restartOn: [String] = []
    var check: [String]?
    /// Lines of the unit that this one needs besides what all have.
    var unitLines: [String] = []
    /// Other lines of the defaults file than ARGS.
    var defaults: [String] = []
    /// What its own unit needs to be running, which must be as declared before it is started.
    var requires: [ResourceID] = []
    /// Speaks to others than this node and those of `peers`.
    var needsNetwork = false
    /// Addresses of nodes that come to it, or to which it goes.
    var peers: [String] = []

    init(
        _ name: String, arguments: [String], memory: Int, why: String, writable: [String] = [],
        environment: [String] = [], reloadOn: [String] = [], restartOn: [String] = [], check: [String]? = nil
    ) {
        (self.name, self.arguments, self.memory, self.why) = (name, arguments, memory, why)
        (self.writable, self.environment, self.reloadOn) = (writable, environment, reloadOn)
        (self.restartOn, self.check) = (restartOn, check)
    }
}

extension Compilation {
    /// Its arguments, its hardening, its unit and its share of the memory.
    mutating func placeDaemon(_ daemon: Daemon, on node: NodeName, requires: [ResourceID] = []) throws {
        let origin = Self.monitoringOrigin
        let defaults = "/etc/default/\(daemon.name)"
        // Debian's units read it with systemd's own rules: one word of quotes, split at its blanks.
        let lines = ["ARGS=\"\(daemon.arguments.joined(separator: " "))\""] + daemon.defaults
        let text = "# Managed by Bascule.\n\(lines.joined(separator: "\n"))\n"
        try add(.file(FileSpec(defaults, Content(text))), on: node, origin: origin)
        let dropIn = try render(
            "monitoring-hardening.conf",
            [
                "memory": .text("\(daemon.memory)"), "environment": .texts(daemon.environment),
                "writable": .texts(daemon.writable), "lines": .texts(daemon.unitLines),
                "isLocal": .flag(!daemon.needsNetwork), "peers": .texts(daemon.peers),
            ])
        try add(
            .unit(
                UnitSpec(
                    "\(daemon.name).service", dropIns: ["10-bascule.conf": dropIn], reloadOn: daemon.reloadOn,
                    restartOn: [defaults] + daemon.restartOn, check: daemon.check)),
            on: node, requires: requires + daemon.requires, origin: origin)
        reserve(daemon.memory, for: daemon.name, on: node, why: daemon.why)
    }

    /// Where an exporter of a node listens, which is opened to the monitoring node alone, and how it is reached.
    mutating func listen(_ port: Int, _ purpose: String, on node: NodeName, _ watch: Monitored) throws
        -> (address: String, peers: [String])
    {
        guard node != watch.home else { return ("127.0.0.1:\(port)", []) }
        let here = try numeric(node)
        let peer = Peer(node: watch.home, address: try numeric(watch.home))
        open(port, to: [peer], on: node, purpose: purpose)
        let warning = BasculeError(
            .catalogueUnencrypted, "metrics go from \(node) to \(watch.home) unencrypted",
            at: place("services.monitoring"), hint: "keep both on one node, or join them by a private network")
        if !output.warnings.contains(warning) { output.warnings.append(warning) }
        return ("\(here.contains(":") ? "[\(here)]" : here):\(port)", [peer.address])
    }

    /// An exporter of Debian's that listens where `listen` says and needs nothing else.
    mutating func placeExporter(
        _ name: String, port: Int, arguments: [String], memory: Int, on node: NodeName, _ watch: Monitored,
        _ adjust: (inout Daemon) -> Void = { _ in }
    ) throws -> String {
        try packages([name], on: node, origin: Self.monitoringOrigin)
        let (address, peers) = try listen(port, name, on: node, watch)
        var daemon = Daemon(
            name, arguments: ["--web.listen-address=\(address)"] + arguments, memory: memory,
            why: "its measured peak, doubled")
        daemon.peers = peers
        adjust(&daemon)
        try placeDaemon(daemon, on: node)
        return address
    }
}
