import BasculeModel

/// The services that run, as systemd's control groups show them: every running one has a group with a process.
enum RunningServices {
    static func names() throws -> [String] {
        guard FileIdentity(path: "/run/systemd/system") != nil else {
            throw BasculeError(.unsupported, "systemd does not run on this node")
        }
        var found: Set<String> = []
        for process in directoryNames("/proc") ?? [] where process.allSatisfy(\.isNumber) {
            guard let bytes = try? AtomicFile.read("/proc/\(process)/cgroup") else { continue }
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where isSystemd(line) {
                // The outermost service of the path: user services and scopes lie below user@.service.
                if let part = line.split(separator: "/").first(where: { $0.hasSuffix(".service") }) {
                    found.insert(String(part.dropLast(8)).replacing("\\x2d", with: "-"))
                }
            }
        }
        return found.sorted()
    }

    /// The unified hierarchy, or systemd's own in the older layout.
    private static func isSystemd(_ line: Substring) -> Bool {
        line.hasPrefix("0::") || line.contains(":name=systemd:")
    }
}
