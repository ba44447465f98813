import BasculeModel
import BasculeResources
import Glibc

/// Keeps the node's disk from running full: a reserve that is given up first, then what is declared dispensable.
///
/// The order of sacrifice: the reserve, releases of apps beyond the current and the previous one, old system journals,
/// the package manager's downloads. Never data, never the write-ahead log.
final class DiskFloor {
    private let healing: Healing
    private var isLow = false
    private var lastSacrifice = -Double.infinity
    /// Seconds between two rounds of sacrifice.
    private static let pause = 600.0

    init(_ healing: Healing) { self.healing = healing }

    /// Bytes free for everybody and bytes in all, where the agent's state is.
    private func space() -> (free: Int, size: Int)? {
        var status = statvfs()
        guard statvfs(healing.paths.state, &status) == 0 else { return nil }
        return (Int(status.f_bavail) * Int(status.f_frsize), Int(status.f_blocks) * Int(status.f_frsize))
    }

    func look(at now: Double) {
        guard let space = space() else { return }
        let floor = healing.settings.diskFloor ?? min(512 << 20, space.size / 50)
        let reserve = healing.settings.diskReserve ?? min(64 << 20, space.size / 50)
        let held = heldReserve()
        if space.free < floor {
            if !isLow {
                isLow = true
                healing.state.withLock { $0.diskLow = true }
                let gave = held > 0 ? ", the reserve of \(Self.mebibytes(held)) is given up" : ""
                unlink(healing.paths.reserve)
                tell(.diskLow, "\(Self.mebibytes(space.free)) free, less than \(Self.mebibytes(floor))\(gave)")
            }
            if now - lastSacrifice >= Self.pause {
                lastSacrifice = now
                sacrifice(until: floor + reserve)
            }
        } else if held < reserve, space.free - reserve > 2 * floor {
            make(reserve)
            if isLow {
                isLow = false
                healing.state.withLock { $0.diskLow = false }
                lastSacrifice = -.infinity
                tell(.diskRestored, "\(Self.mebibytes(space.free)) free: the reserve is back")
            }
        }
    }

    private func heldReserve() -> Int {
        var status = stat()
        return lstat(healing.paths.reserve, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Blocks that are really taken; a file system without them gets none.
    private func make(_ size: Int) {
        unlink(healing.paths.reserve)
        guard size > 0 else { return }
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let file = open(healing.paths.reserve, flags, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        if posix_fallocate(file, 0, off_t(size)) != 0 { unlink(healing.paths.reserve) }
    }

    private func sacrifice(until enough: Int) {
        let context = healing.context()
        let releases = healing.state.withLock { state in
            state.set.entries.values.compactMap { entry -> ReleaseSpec? in
                guard case .release(let spec) = entry.desired.resource else { return nil }
                return state.set.inSegments.contains(entry.desired.id) ? nil : spec
            }
        }
        for step in Sacrifice.order {
            guard let before = space(), before.free < enough else { return }
            do {
                guard let what = try step.give(releases, context), let after = space() else { continue }
                tell(.diskFreed, "\(Self.mebibytes(max(0, after.free - before.free))) freed: \(what)")
            } catch {
                healing.tell([
                    AgentEvent(
                        sequence: 0, time: 0, kind: .healFailed, text: "\(step) could not be given up",
                        error: BasculeError.wrapping(error, "it could not be given up"))
                ])
            }
        }
    }

    private func tell(_ kind: AgentEvent.Kind, _ text: String) {
        healing.tell([AgentEvent(sequence: 0, time: 0, kind: kind, text: text)])
    }

    private static func mebibytes(_ bytes: Int) -> String {
        bytes < 10 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
    }
}
