import BasculeFleet
import BasculeModel
import BasculeSSH
import BasculeStore
import Foundation

extension Adoption {
    /// The largest backup that is fetched: 1 GiB.
    private static let largest = 1 << 30

    /// Fetches the newest backup that a kit's nodes keep, and puts it at `path` as the fleet's newest store. Until the
    /// very end nothing that was there is touched; then what was there is moved aside.
    /// - Returns: the new epoch.
    package func restore(_ kit: RecoveryKit, to path: String, replace: Bool) async throws -> Int {
        let manager = FileManager.default
        guard replace || !manager.fileExists(atPath: path) else {
            throw BasculeError(
                .storeExists, "there is a store at \(path) already",
                hint: "to take over with that one: bascule adopt without --kit; to put it aside: --replace")
        }
        let doors = try kit.nodes.map { node in
            Door(
                node: node.name, endpoint: SSHEndpoint(host: node.host, port: UInt16(node.port)),
                login: SSHLogin(
                    user: node.user, identities: contact.identities ?? [.agent(socket: nil)],
                    hostKeys: .pinned(try node.hostKeys.map { try SSHHostKey(line: $0) }),
                    passphrase: contact.passphrase))
        }
        let visits = await visit(doors)
        let archive = try await newest(visits)
        let folder =
            "\((path as NSString).deletingLastPathComponent)/.adopting-\(ProcessInfo.processInfo.processIdentifier)"
        try manager.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? manager.removeItem(atPath: folder) }
        let name = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
        let restored = try StoreArchive.open(archive, recoveryKey: kit.recoveryKey, into: folder, name: name)
        let store = try Store(path: restored)
        try store.check()
        let epoch = try await renew(store, fleet: kit.fleet, visits)
        try store.close()
        try Store.put(restored, at: path)
        say("the store is at \(path)")
        return epoch
    }

    private func newest(_ visits: [Visit]) async throws -> [UInt8] {
        var found: [(number: Int, time: Double, door: Door)] = []
        for visit in visits {
            guard case .success = visit.result,
                let list = try? await Adoption.agent(["backups"], visit.door)
            else { continue }
            for line in String(decoding: list, as: UTF8.self).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count == 4, let number = Int(words[0]), let time = Double(words[1]) else { continue }
                found.append((number, time, visit.door))
            }
        }
        var failure: BasculeError?
        // A node may be unable to give what it lists: then the next best copy.
        for candidate in found.sorted(by: { $0.number > $1.number }).prefix(8) {
            do {
                let date = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: candidate.time))
                say("fetching the store's backup of \(date) from \(candidate.door.node)")
                return try await Adoption.agent(
                    ["backups", "\(candidate.number)"], candidate.door, limit: Adoption.largest)
            } catch { failure = BasculeError.wrapping(error, "the backup could not be fetched") }
        }
        throw failure
            ?? BasculeError(
                .adoptFailed, "no node that answers keeps a backup of the store; nothing was changed",
                cause: visits.compactMap { if case .failure(let error) = $0.result { error.description } else { nil } }
                    .first,
                hint: "is there a copy of the store elsewhere? Put it to its place, then: bascule adopt")
    }
}

extension Store {
    /// Moves a closed store with its key to its place; what is there goes aside, under a name with the time.
    static func put(_ source: String, at path: String) throws {
        let stamp = ISO8601DateFormatter().string(from: Date()).filter { $0 != "-" && $0 != ":" }
        func key(_ path: String) -> String { (path as NSString).deletingPathExtension + ".key" }
        for old in [path, "\(path)-wal", "\(path)-shm", key(path)] where access(old, F_OK) == 0 {
            try move(old, "\(old).replaced-\(stamp)")
        }
        // The key first: a store is never without it.
        if access(key(source), F_OK) == 0 { try move(key(source), key(path)) }
        try move(source, path)
        let folder = Foundation.open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            Foundation.close(folder)
        }
    }

    private static func move(_ old: String, _ new: String) throws {
        guard rename(old, new) == 0 else {
            throw BasculeError(
                .inputOutput, "\(old) could not be moved to \(new)", cause: String(cString: strerror(errno)))
        }
    }
}
