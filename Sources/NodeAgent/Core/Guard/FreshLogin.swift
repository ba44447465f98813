import Glibc

/// When the SSH connection began over which a process of this node talks.
enum FreshLogin {
    /// Seconds since the machine booted; nil where the process does not hang below an SSH server.
    ///
    /// A channel that is opened in an old connection is no login: below the listening sshd, the oldest process of the
    /// chain counts, and that is the one which serves the whole connection.
    static func began(_ peer: pid_t) -> Double? {
        guard let chain = ancestry(of: peer) else { return nil }
        // The last one is systemd's own child: the listener.
        let below = chain.dropLast()
        guard chain.last?.isServer == true, below.contains(where: \.isServer) else { return nil }
        return below.map(\.began).min()
    }

    struct Member: Equatable {
        var parent: pid_t
        /// `sshd`, or from OpenSSH 9.8 on also `sshd-session`.
        var isServer: Bool
        /// Seconds since boot.
        var began: Double
    }

    /// From a process up to the one below process 1.
    private static func ancestry(of process: pid_t) -> [Member]? {
        var chain: [Member] = []
        var next = process
        while next > 1, chain.count < 32 {
            guard let text = (try? DurableFile.read("/proc/\(next)/stat")) ?? nil,
                let member = parse(String(decoding: text, as: UTF8.self))
            else { return nil }
            chain.append(member)
            next = member.parent
        }
        return chain
    }

    /// One line of `/proc/PID/stat`; the name in parentheses may hold blanks and parentheses.
    static func parse(_ line: String) -> Member? {
        guard let open = line.firstIndex(of: "("), let close = line.lastIndex(of: ")"), open < close else { return nil }
        let name = line[line.index(after: open)..<close]
        let fields = line[line.index(after: close)...].split(separator: " ")
        // proc(5): the state is field 3, the parent 4, the start 22, in ticks since boot.
        guard fields.count > 19, let parent = pid_t(fields[1]), let ticks = Double(fields[19]) else { return nil }
        return Member(
            parent: parent, isServer: name == "sshd" || name.hasPrefix("sshd-"),
            began: ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK)))))
    }
}
