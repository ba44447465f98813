import Glibc

/// A process that cannot be taken for another one with the same number.
struct ProcessIdentity: Hashable, Codable, Sendable {
    let pid: Int32
    /// When it started, in clock ticks since boot.
    let started: UInt64
    /// The kernel's boot id: numbers mean nothing after a reboot.
    let boot: String

    /// The living process with this number, or nil.
    init?(pid: Int32) {
        guard let stat = LabFiles.read("/proc/\(pid)/stat"), let started = Self.startTime(inStat: stat) else {
            return nil
        }
        self.pid = pid
        self.started = started
        boot = Self.currentBoot
    }

    static var current: ProcessIdentity? { ProcessIdentity(pid: getpid()) }

    var isAlive: Bool { ProcessIdentity(pid: pid) == self }

    private static var currentBoot: String {
        LabFiles.read("/proc/sys/kernel/random/boot_id").map { String($0.prefix(36)) } ?? ""
    }

    /// Field 22 of a `stat` line, nil for a zombie. The second field may itself hold spaces and parentheses.
    static func startTime(inStat stat: String) -> UInt64? {
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    /// The child of a systemd-nspawn process that is PID 1 of its own namespace: the node's init.
    static func leader(of supervisor: Int32) -> Int32? {
        let children = LabFiles.read("/proc/\(supervisor)/task/\(supervisor)/children") ?? ""
        return children.split(separator: " ").compactMap { Int32($0) }.first { child in
            guard let status = LabFiles.read("/proc/\(child)/status"),
                let line = status.split(separator: "\n").first(where: { $0.hasPrefix("NSpid:") })
            else { return false }
            let numbers = line.dropFirst(6).split(whereSeparator: \.isWhitespace)
            return numbers.count > 1 && numbers.last == "1"
        }
    }
}
