import BasculeModel
import Glibc
import Synchronization

/// dpkg's database of packages, read natively.
package struct DpkgStatus: Sendable {
    /// One package in it.
    package struct Entry: Sendable, Hashable {
        package var version: String?
        /// dpkg's status word, e.g. `installed`; with the error flag behind it where dpkg asks for a reinstallation.
        package var status: String
        package var architecture: String
    }

    /// By name, and by `name:architecture`.
    package private(set) var entries: [String: Entry] = [:]
    /// How many packages are installed.
    package private(set) var installedCount = 0

    /// Parses `/var/lib/dpkg/status`. Only three fields of each stanza are looked at.
    package init(parsing bytes: [UInt8]) {
        var name = ""
        var entry = Entry(version: nil, status: "not-installed", architecture: "")
        bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return }
            var start = 0
            while start < all.count {
                let found = memchr(base + start, 10, all.count - start)
                let end = found.map { base.distance(to: UnsafeRawPointer($0)) } ?? all.count
                let line = UnsafeRawBufferPointer(rebasing: all[start..<end])
                start = end + 1
                if line.isEmpty {
                    add(name, entry)
                    (name, entry) = ("", Entry(version: nil, status: "not-installed", architecture: ""))
                    continue
                }
                // The first letter decides cheaply: most lines are descriptions and dependencies.
                switch line[0] {
                case UInt8(ascii: "P"): Self.value(line, "Package: ").map { name = $0 }
                case UInt8(ascii: "S"): Self.value(line, "Status: ").map { entry.status = Self.status($0) }
                case UInt8(ascii: "V"): Self.value(line, "Version: ").map { entry.version = $0 }
                case UInt8(ascii: "A"): Self.value(line, "Architecture: ").map { entry.architecture = $0 }
                default: break
                }
            }
        }
        add(name, entry)
    }

    private mutating func add(_ name: String, _ entry: Entry) {
        guard !name.isEmpty else { return }
        entries["\(name):\(entry.architecture)"] = entry
        if entries[name]?.status != "installed" { entries[name] = entry }
        if entry.status == "installed" { installedCount += 1 }
    }

    private static func value(_ line: UnsafeRawBufferPointer, _ key: StaticString) -> String? {
        let length = key.utf8CodeUnitCount
        guard line.count > length, let base = line.baseAddress, memcmp(base, key.utf8Start, length) == 0 else {
            return nil
        }
        return String(decoding: line[length...], as: UTF8.self)
    }

    /// `install ok half-installed` → `half-installed`; `install reinstreq half-installed` keeps its flag.
    private static func status(_ text: String) -> String {
        let words = text.split(separator: " ")
        guard words.count == 3 else { return text }
        return words[1] == "ok" ? String(words[2]) : "\(words[2]) \(words[1])"
    }

    private static let cache = Mutex<(identity: FileIdentity, value: DpkgStatus)?>(nil)

    /// The node's packages, parsed again only when the file changed.
    package static func current() throws -> DpkgStatus {
        let path = "/var/lib/dpkg/status"
        let identity = FileIdentity(path: path)
        if let hit = cache.withLock({ $0 }), hit.identity == identity { return hit.value }
        guard let bytes = try AtomicFile.read(path) else {
            throw BasculeError(.unsupported, "This node has no dpkg database", at: .thing(path))
        }
        let value = DpkgStatus(parsing: bytes)
        if let identity, !identity.isFresh { cache.withLock { $0 = (identity, value) } }
        return value
    }

    /// Packages that an interrupted transaction left behind.
    var unfinished: [String] {
        names { ["unpacked", "half-configured", "triggers-awaited", "triggers-pending"].contains($0) }
    }
    /// Packages whose files may not be whole.
    var broken: [String] { names { $0.hasPrefix("half-installed") || $0.hasSuffix("reinstreq") } }

    private func names(where matches: (Substring) -> Bool) -> [String] {
        entries.filter { !$0.key.contains(":") && matches($0.value.status[...]) }.keys.sorted()
    }
}
