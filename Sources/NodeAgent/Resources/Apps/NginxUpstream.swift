import BasculeModel
import BasculeNet

/// The file with an app's `upstream` block, and the nginx that reads it.
struct NginxUpstream {
    let spec: AppSpec
    let context: NodeContext

    /// The ports that the file lists, in its order.
    static func ports(in text: String) -> [Int] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == ";" || $0 == "\t" })
            guard words.first == "server", words.count >= 2, !words.contains("down"),
                let colon = words[1].lastIndex(of: ":")
            else { return nil }
            return Int(words[1][words[1].index(after: colon)...])
        }
    }

    static func text(_ spec: AppSpec, ports: [Int]) -> String {
        var lines = [
            "# Managed by Bascule: the instances of \(spec.app) that take requests.", "upstream \(spec.upstream) {",
        ]
        lines += ports.map { "    server 127.0.0.1:\($0);" }
        // Node.js closes idle connections after 5 s: nginx has to be first, or it sends into a closed one.
        lines += ["    keepalive 32;", "    keepalive_timeout 4s;", "}"]
        return lines.joined(separator: "\n") + "\n"
    }

    /// Lists these ports and has nginx use them; returns when no worker uses the older list for new requests.
    /// - Throws: `check-failed` where nginx refuses its configuration; the older file is then back.
    func write(_ ports: [Int]) throws {
        guard let path = spec.upstreamFile, !ports.isEmpty else { return }
        let old = try AtomicFile.read(path)
        let new = Array(Self.text(spec, ports: ports).utf8)
        guard old != new else { return }
        try AtomicFile.write(path, new, Permissions(mode: 0o644))
        guard try UnitStatus.read(["nginx.service"])["nginx.service"]?.isActive == true else { return }
        do {
            try UnitRunner.check(["nginx", "-t", "-q"], "nginx.service")
        } catch {
            if let old { try AtomicFile.write(path, old, Permissions(mode: 0o644)) }
            throw error
        }
        let before = NginxWorkers.serving()
        try Systemctl.run(["reload", "--", "nginx.service"])
        // The reload returns before the new workers are there; the old ones still take requests until then.
        let end = Deadline.seconds(20)
        while !before.isDisjoint(with: NginxWorkers.serving()), !end.passed { Monotonic.sleep(.milliseconds(10)) }
    }
}

/// nginx's worker processes.
enum NginxWorkers {
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
