import Glibc

/// The ports on which this node's sshd really listens.
enum SSHPorts {
    /// Listening sockets of the sshd that systemd started, and ssh.socket's; 22 where nothing was found.
    ///
    /// An sshd that serves one session is a child of that one and does not count: it may hold ports that its user
    /// forwards.
    static func current() -> [Int] {
        let ports = Set(listening().values).union(socketUnitPorts())
        return ports.isEmpty ? [22] : ports.sorted()
    }

    /// The same sockets by the kernel's names; others after sshd has read its configuration again.
    static func sockets() -> Set<String> { Set(listening().keys) }

    /// Port by socket, of the sshd that systemd started.
    private static func listening() -> [String: Int] {
        let listening = listeners()
        var found: [String: Int] = [:]
        for name in directoryNames("/proc") ?? [] where name.allSatisfy(\.isNumber) {
            let status = text("/proc/\(name)/stat")
            guard status.contains("(sshd)"),
                status.split(separator: ")").last?.split(separator: " ").dropFirst().first == "1"
            else { continue }
            for descriptor in directoryNames("/proc/\(name)/fd") ?? [] {
                if let inode = link("/proc/\(name)/fd/\(descriptor)"), let port = listening[inode] {
                    found[inode] = port
                }
            }
        }
        return found
    }

    /// Port by `socket:[INODE]`, of TCP sockets in state LISTEN.
    private static func listeners() -> [String: Int] {
        var found: [String: Int] = [:]
        for line in (text("/proc/net/tcp") + text("/proc/net/tcp6")).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == "0A", let colon = fields[1].lastIndex(of: ":"),
                let port = Int(fields[1][fields[1].index(after: colon)...], radix: 16)
            else { continue }
            found["socket:[\(fields[9])]"] = port
        }
        return found
    }

    /// Ubuntu listens through a socket unit; its generator writes sshd_config's ports beside it.
    private static func socketUnitPorts() -> [Int] {
        guard FileIdentity(path: "/etc/systemd/system/sockets.target.wants/ssh.socket") != nil else { return [] }
        let files = ["/run/systemd/generator/ssh.socket.d", "/etc/systemd/system/ssh.socket.d"]
            .flatMap { directory in (directoryNames(directory) ?? []).map { "\(directory)/\($0)" } }
        let ports = files.flatMap { text($0).split(separator: "\n") }.filter { $0.hasPrefix("ListenStream=") }
            .compactMap { $0.split(whereSeparator: { $0 == "=" || $0 == ":" }).last.flatMap { Int($0) } }
        return ports.isEmpty ? [22] : ports
    }

    private static func text(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        return String(decoding: (try? AtomicFile.readAll(file, path)) ?? [], as: UTF8.self)
    }

    private static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 64)
        let length = readlink(path, &buffer, buffer.count)
        return length > 0 ? String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}
