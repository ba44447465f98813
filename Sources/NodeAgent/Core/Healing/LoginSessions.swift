import BasculeModel
import Glibc

/// Who is logged in, and who was a moment ago: what changes meanwhile may be meant.
///
/// logind's own files tell; where there is no logind, utmp does. The controller's user and its forced command do not
/// count: they are the agent itself.
struct LoginSessions {
    /// logind's directory, to be watched.
    static let directory = "/run/systemd/sessions"
    static let utmp = "/run/utmp"
    /// Seconds after a session's end in which a change still counts as made in it: `ssh node systemctl stop …` is over
    /// before its effect is.
    static let moment = 3.0

    /// Sessions that are open, by logind's name for them.
    private(set) var open: Set<String>
    /// When those that ended of late did, seconds since 1970.
    private(set) var ended: [String: Double] = [:]

    /// What each session's file said when it was last read.
    private var read: [String: Entry] = [:]

    init(open: Set<String> = []) { self.open = open }

    /// Who is there now, of whom nothing was known before.
    static func now() -> LoginSessions {
        var sessions = LoginSessions()
        sessions.open = sessions.present()
        return sessions
    }

    /// Looks who is there now.
    mutating func look(at now: Double) { look(at: now, present()) }

    /// Notes who is there now.
    mutating func look(at now: Double, _ present: Set<String>) {
        for gone in open.subtracting(present) { ended[gone] = now }
        for back in present { ended[back] = nil }
        ended = ended.filter { now - $0.value < 86_400 }
        open = present
    }

    /// Sessions of before a restart that are not there any more.
    mutating func remember(ended sessions: Set<String>, at now: Double) {
        for session in sessions { ended[session] = now }
    }

    /// The sessions in which a change that is noticed now may have been made.
    func witnesses(at now: Double) -> Set<String> {
        open.union(ended.filter { now - $0.value <= Self.moment }.keys)
    }

    /// When the grace of a change ends that was made in one of these sessions: nil for never as long as one is open.
    /// One that nobody remembers has ended long ago.
    func graceEnds(_ sessions: Set<String>, _ grace: Double) -> Double? {
        guard open.isDisjoint(with: sessions) else { return nil }
        return (sessions.compactMap { ended[$0] }.max() ?? -.infinity) + grace
    }

    /// A session's file as it was read: logind puts another in its place with every change.
    private struct Entry {
        var inode: ino_t
        var changed: timespec
        var isPerson: Bool

        func isOf(_ status: stat) -> Bool {
            inode == status.st_ino && changed.tv_sec == status.st_mtim.tv_sec
                && changed.tv_nsec == status.st_mtim.tv_nsec
        }
    }

    /// The sessions of people on this node now. Only files that changed are read: every login changes one of them a few
    /// times, and there may be many.
    private mutating func present() -> Set<String> {
        guard let names = Self.names(in: Self.directory) else { return Self.terminals() }
        let own = Self.installations()
        var entries: [String: Entry] = [:]
        for name in names where !own.contains(name) {
            let path = "\(Self.directory)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if let known = read[name], known.isOf(status) {
                entries[name] = known
            } else if let bytes = try? DurableFile.read(path) {
                let isPerson = Self.isPerson(String(decoding: bytes, as: UTF8.self))
                entries[name] = Entry(inode: status.st_ino, changed: status.st_mtim, isPerson: isPerson)
            }
        }
        read = entries
        return Set(entries.filter(\.value.isPerson).keys)
    }

    /// Sessions in which the controller put the agent here: they are not somebody's. Gone after a boot, as their names.
    private static let installing = "/run/bascule-installations"

    /// Notes that the session of this very process is an installation's. What cannot be told is left out.
    static func noteInstallation() {
        guard let bytes = try? DurableFile.read("/proc/self/cgroup"),
            let name = session(inCgroup: String(decoding: bytes, as: UTF8.self))
        else { return }
        let known = installations().union([name]).sorted().joined(separator: "\n")
        try? DurableFile.write(Array(known.utf8), to: installing, mode: 0o644)
    }

    private static func installations() -> Set<String> {
        guard let bytes = (try? DurableFile.read(installing)) ?? nil else { return [] }
        return Set(String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init))
    }

    /// logind's name of the session that a process's control group names: `…/session-5.scope` is `5`.
    static func session(inCgroup text: String) -> String? {
        text.split { $0 == "/" || $0 == "\n" }.first { $0.hasPrefix("session-") && $0.hasSuffix(".scope") }
            .map { String($0.dropFirst(8).dropLast(6)) }
    }

    /// Whether a session's file tells of somebody who is logged in.
    static func isPerson(_ text: String) -> Bool {
        var (name, isUsers, isClosing): (Substring.UTF8View?, Bool, Bool) = (nil, true, false)
        for line in text.utf8.split(separator: 10) {
            if line.starts(with: "USER=".utf8) { name = line.dropFirst(5) }
            if line.starts(with: "CLASS=".utf8) { isUsers = line.starts(with: "CLASS=user".utf8) }
            if line.starts(with: "STATE=".utf8) { isClosing = line.elementsEqual("STATE=closing".utf8) }
        }
        guard isUsers, let name else { return false }
        return !isClosing && !name.elementsEqual(AgentPaths.user.utf8)
    }

    private static func names(in directory: String) -> [String]? {
        guard let stream = opendir(directory) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            // Beside each session's file stands a pipe of the same name with a suffix.
            if !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) { names.append(name) }
        }
        return names
    }

    /// Terminals with somebody at them, as utmp lists them (records of 384 bytes; type 7 is a user's process).
    private static func terminals() -> Set<String> {
        guard let bytes = try? DurableFile.read(utmp) else { return [] }
        let size = 384
        var found: Set<String> = []
        for start in stride(from: 0, through: bytes.count - size, by: size) {
            guard bytes[start] == 7, bytes[start + 1] == 0 else { continue }
            let pid = bytes[(start + 4)..<(start + 8)].reversed().reduce(0) { $0 << 8 | Int32($1) }
            let line = String(decoding: bytes[(start + 8)..<(start + 40)].prefix { $0 != 0 }, as: UTF8.self)
            let user = String(decoding: bytes[(start + 44)..<(start + 76)].prefix { $0 != 0 }, as: UTF8.self)
            // A session that was cut leaves its record behind.
            if user != AgentPaths.user, kill(pid, 0) == 0 || errno == EPERM { found.insert("\(line) \(pid)") }
        }
        return found
    }
}
