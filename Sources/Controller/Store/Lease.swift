import BasculeModel
import Foundation

/// The right to write to a store: a lock on a file beside it, held for as long as this value lives.
///
/// The lock is not on the database itself: opening and closing that outside of SQLite would drop SQLite's own locks.
package final class StoreLease: @unchecked Sendable {
    // The descriptor is written once in `init` and closed once in `deinit`.
    private let descriptor: Int32
    /// Who holds it, for people.
    package let holder: String

    /// Takes the lease. Throws `store-busy` naming the holder.
    package init(beside path: String) throws {
        let lockPath = path + ".lock"
        descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw BasculeError(
                .inputOutput, "could not open \(lockPath)", cause: String(cString: strerror(errno)),
                hint: "is the directory writable?")
        }
        let user = ProcessInfo.processInfo.environment["USER"] ?? "uid \(getuid())"
        holder = "\(user)@\(ProcessInfo.processInfo.hostName) pid \(getpid())"
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            var buffer = [UInt8](repeating: 0, count: 300)
            let count = pread(descriptor, &buffer, buffer.count, 0)
            let other = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).trimmingCharacters(
                in: .whitespacesAndNewlines)
            close(descriptor)
            throw BasculeError(
                .storeBusy, "another bascule works with this fleet: \(other.isEmpty ? "unknown" : other)",
                hint: "wait for it, or look what it does: bascule now")
        }
        let line = Array("\(holder)\n".utf8)
        ftruncate(descriptor, 0)
        pwrite(descriptor, line, line.count, 0)
    }

    deinit { close(descriptor) }
}
