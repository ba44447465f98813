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
    func keep(_ digest: Digest, now: Double) throws {
        let source = "\(paths.blobs)/\(digest.rawValue)"
        let target = path(BackupInfo(time: now.rounded(), digest: digest, size: 0))
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
            guard parts.count == 2, let time = Double(parts[0]) else { continue }
            var status = stat()
            guard stat("\(paths.backups)/\(name)", &status) == 0 else { continue }
            found.append(
                BackupInfo(time: time, digest: Digest(rawValue: String(parts[1])), size: Int(status.st_size)))
        }
        return found.sorted { ($0.time, $0.digest.rawValue) > ($1.time, $1.digest.rawValue) }
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

    /// Writes the newest backup to standard output: what an adopting workstation reads over root's login.
    func writeNewest() throws {
        guard let info = try list().first, let bytes = try DurableFile.read(path(info)) else {
            throw BasculeError(.invalidInput, "this node keeps no backup of the controller's store")
        }
        try DurableFile.writeAll(bytes, to: STDOUT_FILENO, path: "standard output")
    }

    /// The time with leading zeros comes first, so that names sort by age.
    private func path(_ info: BackupInfo) -> String {
        let digits = String(Int(info.time))
        let zeros = String(repeating: "0", count: max(0, 11 - digits.count))
        return "\(paths.backups)/\(zeros)\(digits).\(info.digest.rawValue)"
    }
}
