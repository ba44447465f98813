import Glibc

/// Which paths rsync leaves out for `--exclude` patterns: enough of its rules to tell what is missing on purpose. What
/// they do not recognise counts as missing, never the other way round.
struct FilesPatterns {
    private let patterns: [(text: String, isAnchored: Bool, isPath: Bool)]

    init(_ patterns: [String]) {
        self.patterns = patterns.map { pattern in
            var text = pattern
            while text.hasSuffix("/") { text.removeLast() }
            let isAnchored = text.hasPrefix("/")
            if isAnchored { text.removeFirst() }
            return (text, isAnchored, isAnchored || text.contains("/"))
        }
    }

    /// Whether the path, or a directory above it, is left out.
    func match(_ path: [UInt8]) -> Bool {
        let parts = path.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
        return patterns.contains { pattern in
            (1...max(1, parts.count)).contains { count in
                let upTo = parts.prefix(count)
                if pattern.isAnchored { return Self.fits(pattern.text, upTo.joined(separator: "/")) }
                guard pattern.isPath else { return Self.fits(pattern.text, upTo.last ?? "") }
                return upTo.indices.contains { Self.fits(pattern.text, upTo[$0...].joined(separator: "/")) }
            }
        }
    }

    private static func fits(_ pattern: String, _ text: String) -> Bool {
        // Two stars pass over slashes, as rsync has it.
        fnmatch(pattern, text, pattern.contains("**") ? 0 : FNM_PATHNAME) == 0
    }
}
