import BasculeFleet
import BasculeModel

/// Every node's own numbers, and what other programs leave as text.
extension Compilation {
    mutating func placeNodeExporter(on node: NodeName, _ watch: inout Monitored) throws {
        let arguments = [
            // Units by their state, without the templates and devices of systemd itself.
            "--collector.systemd", "--collector.systemd.unit-include=.+\\\\.(service|timer)",
            "--collector.textfile.directory=\(Self.textMetrics)",
            // What says nothing on a server.
            "--no-collector.arp", "--no-collector.bcache", "--no-collector.bonding", "--no-collector.btrfs",
            "--no-collector.edac", "--no-collector.fibrechannel", "--no-collector.infiniband", "--no-collector.ipvs",
            "--no-collector.mdadm", "--no-collector.nfs", "--no-collector.nfsd", "--no-collector.nvme",
            "--no-collector.rapl", "--no-collector.selinux", "--no-collector.tapestats", "--no-collector.xfs",
            "--no-collector.zfs", "--no-collector.schedstat",
            // Its own sandbox, and what no disk is behind.
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|tmp|home|root|var/tmp)($|/)",
            "--collector.filesystem.fs-types-exclude=^(autofs|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|mqueue|nsfs|proc|procfs|pstore|ramfs|securityfs|squashfs|sysfs|tmpfs|tracefs)$$",
            "--collector.netdev.device-exclude=^(lo|veth.*|docker.*)$$",
        ]
        let address = try placeExporter(
            "prometheus-node-exporter", port: 9100, arguments: arguments, memory: 48 << 20, on: node, watch
        ) {
            // It asks the kernel how well the clock is kept, which the rest of the sandbox forbids.
            $0.unitLines = ["SystemCallFilter=adjtimex clock_adjtime", "ProtectClock=false"]
        }
        watch.add(
            Monitored.Target(address: address, labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "node", series: 1200))
    }

    /// The units that must be up on a node: those that are declared to run.
    func wantedUnits(on node: NodeName) -> [String] {
        var names: [String] = []
        for desired in nodes[node]?.all ?? [] {
            switch desired.resource {
            case .unit(let spec):
                guard spec.state == .running, spec.name.hasSuffix(".service") else { continue }
                names.append(spec.name)
            case .app(let spec): names += spec.ports.map { "\(spec.unit)@\($0).service" }
            default: break
            }
        }
        return names.sorted()
    }
}
