import BasculeModel
import Glibc

/// Watches paths by inotify, whatever becomes of the directories that they are in.
///
/// inotify knows directories, not paths. So every directory on the way to a watched path is watched by itself: where a
/// directory is replaced, moved or deleted, the one above it tells, and everything below is armed anew. One descriptor
/// serves all; it belongs to one thread.
final class FileWatch {
    /// What somebody wants to know of. The name is theirs.
    typealias Key = String

    /// What happened since the last look.
    struct News {
        var keys: Set<Key> = []
        /// Events were lost: everything has to be looked at.
        var overflow = false
    }

    /// What is of interest in one directory.
    private struct Interest {
        /// By name in the directory; the empty name stands for every name.
        var names: [String: Set<Key>] = [:]
        /// Names that are directories on the way to something.
        var below: Set<String> = []
    }

    let descriptor: Int32
    private var interests: [String: Interest] = [:]
    private var paths: [Int32: Set<String>] = [:]
    private var watches: [String: Int32] = [:]
    /// Directories that the kernel would not take on; whoever wants to know has to look from time to time.
    private(set) var refused: Set<String> = []

    private static let mask =
        UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO) | UInt32(IN_CLOSE_WRITE)
        | UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_ONLYDIR)

    init() throws {
        descriptor = inotify_init1(Int32(O_CLOEXEC) | Int32(O_NONBLOCK))
        guard descriptor >= 0 else { throw DurableFile.failure("begin to watch", "/") }
    }

    deinit { close(descriptor) }

    /// Watches exactly these paths from now on. A path that ends in `/` stands for every name in that directory.
    func watch(_ wanted: [String: Set<Key>]) {
        var next: [String: Interest] = [:]
        for (path, keys) in wanted {
            let whole = path.hasSuffix("/")
            var parts = path.split(separator: "/").map(String.init)
            let name = whole ? "" : parts.popLast() ?? ""
            var directory = ""
            for part in parts {
                next[directory, default: Interest()].below.insert(part)
                directory += "/\(part)"
            }
            next[directory, default: Interest()].names[name, default: []].formUnion(keys)
        }
        for directory in watches.keys where next[directory] == nil { disarm(directory) }
        refused = refused.filter { next[$0] != nil }
        interests = next
        for directory in next.keys.sorted() where watches[directory] == nil { arm(directory) }
    }

    private func arm(_ directory: String) {
        let watch = inotify_add_watch(descriptor, directory.isEmpty ? "/" : directory, Self.mask)
        guard watch >= 0 else {
            // What is not there is told of by the directory above it.
            if errno != ENOENT, errno != ENOTDIR { refused.insert(directory) }
            return
        }
        refused.remove(directory)
        watches[directory] = watch
        paths[watch, default: []].insert(directory)
    }

    private func disarm(_ directory: String) {
        guard let watch = watches.removeValue(forKey: directory) else { return }
        paths[watch]?.remove(directory)
        // Two paths may lead to one directory.
        guard paths[watch]?.isEmpty ?? false else { return }
        paths[watch] = nil
        inotify_rm_watch(descriptor, watch)
    }

    /// Arms a directory and all below it anew, and gives everything that is of interest there.
    private func renew(_ directory: String, _ news: inout News) {
        for path in interests.keys.filter({ $0 == directory || $0.hasPrefix("\(directory)/") }).sorted() {
            disarm(path)
            arm(path)
            for keys in interests[path]?.names.values ?? [:].values { news.keys.formUnion(keys) }
        }
    }

    /// Tries those again that were refused, and gives what is of interest in them.
    func retry() -> Set<Key> {
        var keys: Set<Key> = []
        for directory in refused {
            arm(directory)
            for known in interests[directory]?.names.values ?? [:].values { keys.formUnion(known) }
        }
        return keys
    }

    /// What happened since the last call; never waits.
    func news() -> News {
        var news = News()
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return news }
            buffer.withUnsafeBytes { bytes in
                let size = MemoryLayout<inotify_event>.size
                var offset = 0
                while offset + size <= count {
                    let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                    let start = offset + size
                    let name = bytes[start..<min(count, start + Int(event.len))].prefix { $0 != 0 }
                    take(event, String(decoding: name, as: UTF8.self), &news)
                    offset = start + Int(event.len)
                }
            }
        }
    }

    private func take(_ event: inotify_event, _ name: String, _ news: inout News) {
        let mask = event.mask
        if mask & UInt32(IN_Q_OVERFLOW) != 0 {
            news.overflow = true
            return renew("", &news)
        }
        guard let directories = paths[event.wd] else { return }
        if mask & (UInt32(IN_IGNORED) | UInt32(IN_UNMOUNT)) != 0 {
            paths[event.wd] = nil
            for directory in directories {
                watches[directory] = nil
                // It may stand there again by now, or what was below the mount.
                renew(directory, &news)
            }
            return
        }
        for directory in directories {
            if mask & (UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)) != 0 {
                renew(directory, &news)
                continue
            }
            guard let interest = interests[directory] else { continue }
            for keys in [interest.names[name], interest.names[""]] { news.keys.formUnion(keys ?? []) }
            let renames =
                UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO)
            if interest.below.contains(name), mask & renames != 0 { renew("\(directory)/\(name)", &news) }
        }
    }
}
