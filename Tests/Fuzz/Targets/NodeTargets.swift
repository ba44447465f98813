import BasculeModel
import BasculeProtocol
@testable import BasculeAgentCore
@testable import BasculeCommands
@testable import BasculeResources
import Glibc

extension FuzzTarget {
    /// What the kernel and a few files say of a node, and what a controller makes of facts that a stranger sent.
    static let facts = FuzzTarget(name: "facts") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = Facts.osRelease(text)
        _ = Facts.meminfo(text)
        _ = Facts.defaultInterface(text)
        if let facts = try? Wire.decode(NodeFacts.self, from: bytes) {
            let lines = FactsView(node: "n", facts: facts).lines
            let isInert = lines.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 || $0 == 9 } }
            require(isInert, "a node's words reach the terminal")
        }
    }

    /// dpkg's database.
    static let dpkg = FuzzTarget(name: "dpkg") { bytes in
        let status = DpkgStatus(parsing: bytes)
        require(status.installedCount <= bytes.count / 20 + 1, "more packages than fit")
        _ = (status.unfinished, status.broken)
    }

    /// systemd's answers on its bus.
    static let dbus = FuzzTarget(name: "dbus") { bytes in
        guard bytes.count >= 16 else { return }
        var reader = DBusReader(bytes[...])
        _ = try reader.take(4)
        let body = Int(try reader.integer(4))
        _ = try reader.integer(4)
        let header = (16 + Int(try reader.integer(4)) + 7) / 8 * 8
        guard header + body <= bytes.count else { return }
        _ = try DBusReply(bytes[..<(header + body)], header: header)
    }

    /// The agent's journal as a damaged disk gives it back: refused, or cut at a torn end; what was kept stays.
    static let journal = FuzzTarget(name: "journal") { bytes in
        let path = "/dev/shm/bascule-fuzz-journal-\(getpid())"
        defer { unlink(path) }
        require(spill(bytes, to: path), "the input could not be written")
        let journal = try AgentJournal(path: path, clock: { 1 })
        let kept = try journal.records()
        _ = try journal.append(.note("after"), to: "seg")
        let again = try AgentJournal(path: path, clock: { 1 }).records()
        require(again.dropLast() == kept[...], "an append changed what was there")
    }

    static func spill(_ bytes: [UInt8], to path: String) -> Bool {
        guard let file = fopen(path, "w") else { return false }
        defer { fclose(file) }
        return fwrite(bytes, 1, bytes.count, file) == bytes.count
    }
}
