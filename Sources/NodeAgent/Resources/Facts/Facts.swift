import BasculeModel
import Glibc

/// What this node is, read from the kernel and a few files. No process is started.
package enum Facts {
    /// The packages whose versions plans ask about.
    private static let interesting = [
        "nginx", "redis-server", "pgbouncer", "nodejs", "npm", "postfix", "mariadb-server", "docker.io",
        "openssh-server",
        "openssl", "nftables", "certbot", "borgbackup", "prometheus", "systemd", "caddy", "haproxy", "fail2ban",
    ]

    /// Everything at once. What cannot be read is empty; nothing is thrown.
    package static func gather() -> NodeFacts {
        let release = osRelease(text("/etc/os-release"))
        var name = utsname()
        uname(&name)
        let memory = meminfo(text("/proc/meminfo"))
        let packages = try? DpkgStatus.current()
        let versions = (packages?.entries ?? [:]).filter {
            $0.value.status == "installed" && (interesting.contains($0.key) || isPostgres($0.key))
        }.compactMapValues(\.version)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return NodeFacts(
            hostname: trimmed("/proc/sys/kernel/hostname"), machineID: trimmed("/etc/machine-id"),
            system: release["ID"] ?? "", systemVersion: release["VERSION_ID"] ?? "",
            codename: release["VERSION_CODENAME"] ?? "", systemName: release["PRETTY_NAME"] ?? "",
            kernel: trimmed("/proc/sys/kernel/osrelease"), architecture: word(name.machine),
            processors: max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), memory: memory["MemTotal"] ?? 0,
            memoryAvailable: memory["MemAvailable"] ?? 0, disks: disks(text("/proc/self/mounts")),
            addresses: Interfaces.addresses(), defaultInterface: defaultInterface(text("/proc/net/route")),
            services: try? RunningServices.names(), packageCount: packages?.installedCount ?? 0, packages: versions,
            bootID: bootID(), uptime: trimmed("/proc/uptime").split(separator: " ").first.flatMap { Double($0) } ?? 0,
            clock: Double(now.tv_sec) + Double(now.tv_nsec) / 1e9, postgresClusters: PostgresClusters.found())
    }

    private static func isPostgres(_ name: String) -> Bool {
        name.hasPrefix("postgresql-") && name.dropFirst(11).allSatisfy(\.isNumber)
    }

    /// `KEY=value` lines; quotes off.
    static func osRelease(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            found[String(parts[0])] = String(parts[1].filter { $0 != "\"" && $0 != "'" }.prefix(200))
        }
        return found
    }

    /// Bytes by name.
    static func meminfo(_ text: String) -> [String: Int64] {
        var found: [String: Int64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == ":" || $0 == " " })
            guard words.count >= 2, let number = Int64(words[1]) else { continue }
            let (bytes, isTooMuch) = number.multipliedReportingOverflow(by: 1024)
            if !isTooMuch { found[String(words[0])] = bytes }
        }
        return found
    }

    /// The interface whose route has destination and mask 0.
    static func defaultInterface(_ table: String) -> String? {
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(whereSeparator: \.isWhitespace)
            if fields.count > 7, fields[1] == "00000000", fields[7] == "00000000" { return String(fields[0]) }
        }
        return nil
    }

    private static let dataFileSystems: Set<Substring> = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "vfat",
    ]

    private static func disks(_ table: String) -> [NodeFacts.Disk] {
        var seen: Set<String> = []
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 2, dataFileSystems.contains(fields[2]), seen.insert("\(fields[0])").inserted else {
                return nil
            }
            let mount = String(fields[1]).replacing("\\040", with: " ")
            // A container's manager mounts single files of its own.
            guard !mount.hasPrefix("/run/host") else { return nil }
            var status = statvfs()
            guard statvfs(mount, &status) == 0, status.f_blocks > 0 else { return nil }
            let block = Int64(status.f_frsize)
            return NodeFacts.Disk(
                mount: mount, type: String(fields[2]), size: Int64(status.f_blocks) * block,
                free: Int64(status.f_bavail) * block)
        }
    }

    private static func word<Tuple>(_ tuple: Tuple) -> String {
        withUnsafeBytes(of: tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func trimmed(_ path: String) -> String {
        String(text(path).drop(while: \.isWhitespace).prefix { !$0.isNewline })
    }

    /// os-release is a link on Debian: links are followed here, all of it is root's.
    private static func text(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        return String(decoding: (try? AtomicFile.readAll(file, path, limit: 4 << 20)) ?? [], as: UTF8.self)
    }
}
