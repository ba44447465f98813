import Glibc

/// The established TCP connections to a port of this node.
enum Connections {
    static func established(to port: Int) -> Int {
        ["/proc/net/tcp", "/proc/net/tcp6"].reduce(0) { $0 + count(in: text($1), port: port) }
    }

    /// Lines of `/proc/net/tcp` whose local port is this one and whose state is ESTABLISHED (01).
    static func count(in table: String, port: Int) -> Int {
        table.split(separator: "\n").count { line in
            let fields = line.split(separator: " ", maxSplits: 4)
            guard fields.count > 4, fields[3] == "01", let colon = fields[1].lastIndex(of: ":") else { return false }
            return Int(fields[1][fields[1].index(after: colon)...], radix: 16) == port
        }
    }

    private static func text(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        return String(decoding: (try? AtomicFile.readAll(file, path)) ?? [], as: UTF8.self)
    }
}
