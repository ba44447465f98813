import BasculeModel
import BasculeProtocol
import FoundationEssentials
import Glibc

/// Backups of the controller's store: encrypted with a key that no node has, kept for the day on which the workstation
/// is gone.
struct BackupKeeper: Sendable {
    let paths: AgentPaths
    /// The newest are always kept.
    static let newest = 3
    /// Of each of the last days with a backup, the last one.
    static let days = 7

    /// Takes an upload into keeping; it is on disk when this returns. What is not to be kept any longer goes.
    func keep(_ digest: Digest, number: Int, now: Double) throws {
        guard digest.rawValue.utf8.allSatisfy({ ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }) else {
            throw BasculeError(.invalidInput, "this is not a digest")
        }
        let source = "\(paths.blobs)/\(digest.rawValue)"
        let target = path(BackupInfo(number: number, time: now.rounded(), digest: digest, size: 0))
        guard rename(source, target) == 0 else { throw DurableFile.failure("keep", source) }
        try DurableFile.syncDirectory(of: target)
        for old in BackupKeeper.surplus(of: try list()) { unlink(path(old)) }
    }

    /// Newest first.
    func list() throws -> [BackupInfo] {
        guard let directory = opendir(paths.backups) else { return [] }
        defer { closedir(directory) }
        var found: [BackupInfo] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let parts = name.split(separator: ".")
            guard parts.count == 3, let number = Int(parts[0]), let time = Double(parts[1]) else { continue }
            var status = stat()
            guard stat("\(paths.backups)/\(name)", &status) == 0 else { continue }
            found.append(
                BackupInfo(
                    number: number, time: time, digest: Digest(rawValue: String(parts[2])), size: Int(status.st_size)))
        }
        return found.sorted { ($0.number, $0.time) > ($1.number, $1.time) }
    }

    /// Which of the backups (newest first) go: all but the newest three and the newest of each of the seven newest days.
    static func surplus(of all: [BackupInfo]) -> [BackupInfo] {
        var days: Set<Int> = []
        return all.enumerated().filter { place, backup in
            let day = Int(backup.time / 86_400)
            let isDaily = days.count < BackupKeeper.days && days.insert(day).inserted
            return place >= newest && !isDaily
        }.map(\.element)
    }

    /// One line for each backup, newest first: number, time, digest, size.
    func printList() throws {
        for info in try list() { print("\(info.number) \(Int(info.time)) \(info.digest.rawValue) \(info.size)") }
    }

    /// Writes a backup to standard output: what an adopting workstation reads over root's login.
    func write(number: Int) throws {
        guard let info = try list().first(where: { $0.number == number }),
            let bytes = try DurableFile.read(path(info))
        else { throw BasculeError(.invalidInput, "this node keeps no such backup of the controller's store") }
        try DurableFile.writeAll(bytes, to: STDOUT_FILENO, path: "standard output")
    }

    private func path(_ info: BackupInfo) -> String {
        "\(paths.backups)/\(info.number).\(Int(info.time)).\(info.digest.rawValue)"
    }
}
