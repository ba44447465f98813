import BasculeModel
import BasculeNet

/// The file with an app's `upstream` block, and the nginx that reads it.
struct NginxUpstream {
    let spec: AppSpec
    let context: NodeContext

    /// The ports that the file lists for all requests, in its order: those of its first block.
    static func ports(in text: String) -> [Int] {
        var ports: [Int] = []
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == ";" || $0 == "\t" })
            if words.first == "}" { break }
            guard words.first == "server", words.count >= 2, !words.contains("down"),
                let colon = words[1].lastIndex(of: ":"),
                let port = Int(words[1][words[1].index(after: colon)...])
            else { continue }
            ports.append(port)
        }
        return ports
    }

    /// A block with all instances, and one without each: the site chooses among them for each request, by a flag file.
    static func text(_ spec: AppSpec) -> String {
        var lines = ["# Managed by Bascule: the instances of \(spec.app)."]
        func block(_ name: String, _ ports: [Int]) {
            lines.append("upstream \(name) {")
            lines += ports.map { "    server 127.0.0.1:\($0);" }
            // An instance that is to end is waited for until nobody is connected to it: kept connections are not kept
            // for long. (Node.js closes idle ones after 5 s, and nginx has to be first.)
            lines += ["    keepalive 32;", "    keepalive_timeout 1s;", "}"]
        }
        block(spec.upstream, spec.ports)
        guard spec.ports.count > 1 else { return lines.joined(separator: "\n") + "\n" }
        for port in spec.ports { block("\(spec.upstream)_without_\(port)", spec.ports.filter { $0 != port }) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// While this file exists nginx passes the instance over, from the next request on. The site's template names it.
    func flag(_ port: Int) -> String? {
        guard let path = spec.upstreamFile, let slash = path.lastIndex(of: "/") else { return nil }
        return "\(path[..<slash])/drained-\(spec.app)-\(port)"
    }

    /// The ports that take requests.
    func observe() throws -> [Int] {
        guard let path = spec.upstreamFile, let bytes = try AtomicFile.read(path) else { return [] }
        let listed = Self.ports(in: String(decoding: bytes, as: UTF8.self))
        return try listed.filter { port in try flag(port).flatMap { try AtomicFile.read($0) } == nil }
    }

    /// Lets every instance but one take requests, from the next request on. nginx is not reloaded for it: its old
    /// workers would close idle connections of customers, just as one of them may be sending the next request.
    func passOver(_ out: Int?) throws {
        try list()
        guard spec.ports.count > 1 else { return }
        if let out, let flag = flag(out) { try AtomicFile.write(flag, [], Permissions(mode: 0o644)) }
        for port in spec.ports where port != out { try flag(port).flatMap { try ParentDirectory.find($0) }?.remove() }
    }

    /// Writes the file and has nginx use it, where the instances are others than before; returns when no worker uses
    /// the older one for new requests.
    /// - Throws: `check-failed` where nginx refuses its configuration; the older file is then back.
    private func list() throws {
        guard let path = spec.upstreamFile else { return }
        let old = try AtomicFile.read(path)
        let new = Array(Self.text(spec).utf8)
        guard old != new else { return }
        try AtomicFile.write(path, new, Permissions(mode: 0o644))
        guard try UnitStatus.read(["nginx.service"])["nginx.service"]?.isActive == true else { return }
        do {
            try UnitRunner.check(["nginx", "-t", "-q"], "nginx.service")
        } catch {
            if let old { try AtomicFile.write(path, old, Permissions(mode: 0o644)) }
            throw error
        }
        try NginxWorkers.reload()
    }
}

/// nginx's worker processes.
package enum NginxWorkers {
    /// Has nginx read its configuration again; returns when no worker of before takes new requests.
    package static func reload() throws {
        let before = serving()
        try Systemctl.run(["reload", "--", "nginx.service"])
        // The reload returns before the new workers are there; the old ones still take requests until then.
        let end = Deadline.seconds(20)
        while !before.isDisjoint(with: serving()), !end.passed { Monotonic.sleep(.milliseconds(10)) }
    }

    /// Workers that take new requests: those that shut down say so in their title.
    static func serving() -> Set<Int> {
        let text = (try? AtomicFile.read("/run/nginx.pid")).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
        guard let master = text.flatMap({ Int($0.filter { !$0.isWhitespace }) }) else { return [] }
        let children = read("/proc/\(master)/task/\(master)/children").split(separator: " ").compactMap { Int($0) }
        return Set(
            children.filter {
                let title = read("/proc/\($0)/cmdline")
                return title.contains("worker process") && !title.contains("shutting down")
            })
    }

    private static func read(_ path: String) -> String {
        let bytes = (try? AtomicFile.read(path)) ?? nil
        return String(decoding: bytes ?? [], as: UTF8.self)
    }
}
