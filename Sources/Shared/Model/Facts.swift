/// What a node is. Everything in it comes from the node itself: bytes from a stranger, never to be interpolated.
package struct NodeFacts: Hashable, Codable, Sendable {
    package var hostname: String
    /// `/etc/machine-id`: tells a machine from one that was set up anew under the same name.
    package var machineID: String
    /// From os-release: `debian`, `12`, `bookworm`, `Debian GNU/Linux 12 (bookworm)`.
    package var system: String
    package var systemVersion: String
    package var codename: String
    package var systemName: String
    package var kernel: String
    /// As `uname -m` says it, e.g. `x86_64`.
    package var architecture: String
    package var processors: Int
    /// Bytes of memory in all, and of it what programs can still get.
    package var memory: Int64
    package var memoryAvailable: Int64
    package var disks: [Disk]
    /// Addresses with their prefix length, loopback and link-local ones left out, e.g. `203.0.113.10/24`.
    package var addresses: [String]
    /// The interface of the default route; nil where there is none.
    package var defaultInterface: String?
    /// Running services of systemd, without the suffix; nil where systemd does not run.
    package var services: [String]?
    package var packageCount: Int
    /// Installed versions of the packages that Bascule cares about.
    package var packages: [String: String]
    /// The kernel's id of this boot.
    package var bootID: String
    /// Seconds since the boot.
    package var uptime: Double
    /// The node's own clock, seconds since 1970: compare it with the controller's.
    package var clock: Double
    /// PostgreSQL's clusters; nil from an agent that does not tell.
    package var postgresClusters: [PostgresCluster]?

    package init(
        hostname: String, machineID: String, system: String, systemVersion: String, codename: String,
        systemName: String,
        kernel: String, architecture: String, processors: Int, memory: Int64, memoryAvailable: Int64, disks: [Disk],
        addresses: [String], defaultInterface: String?, services: [String]?, packageCount: Int,
        packages: [String: String], bootID: String, uptime: Double, clock: Double,
        postgresClusters: [PostgresCluster]? = nil
    ) {
        (self.hostname, self.machineID, self.system) = (hostname, machineID, system)
        (self.systemVersion, self.codename, self.systemName) = (systemVersion, codename, systemName)
        (self.kernel, self.architecture, self.processors) = (kernel, architecture, processors)
        (self.memory, self.memoryAvailable, self.disks) = (memory, memoryAvailable, disks)
        (self.addresses, self.defaultInterface, self.services) = (addresses, defaultInterface, services)
        (self.packageCount, self.packages, self.bootID) = (packageCount, packages, bootID)
        (self.uptime, self.clock, self.postgresClusters) = (uptime, clock, postgresClusters)
    }

    /// A folder of databases, as Debian's tools lay them out.
    package struct PostgresCluster: Hashable, Codable, Sendable {
        /// The major version that made it.
        package var version: Int
        /// `main` unless somebody named it.
        package var name: String
        package var folder: String
        /// Somebody made a database or a table in it.
        package var holdsData: Bool

        package init(version: Int, name: String, folder: String, holdsData: Bool) {
            (self.version, self.name, self.folder, self.holdsData) = (version, name, folder, holdsData)
        }
    }

    /// A mounted file system that holds data; sizes in bytes.
    package struct Disk: Hashable, Codable, Sendable {
        package var mount: String
        package var type: String
        package var size: Int64
        /// What an ordinary user can still fill.
        package var free: Int64

        package init(mount: String, type: String, size: Int64, free: Int64) {
            (self.mount, self.type, self.size, self.free) = (mount, type, size, free)
        }
    }
}
