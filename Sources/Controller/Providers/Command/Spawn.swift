import BasculeModel
import Foundation
import Glibc
import Synchronization

/// posix_spawn with what Foundation's `Process` does not promise: no descriptor leaks into the child, signals start
/// at their defaults, and the child can lead a session of its own.
enum Spawn {
    enum Group {
        /// The child stays in our process group and gets the terminal's signals (interactive use).
        case inherited
        /// The child leads a process group, so that cancelling ends its children too.
        case own
        /// The child leads a session: it outlives the controlling program and its terminal.
        case session
    }

    /// Starts a program found through `PATH`.
    /// - Parameters:
    ///   - descriptors: what becomes 0, 1 and 2 in the child; -1 stands for `/dev/null`.
    ///   - environment: variables added to ours; nil values remove one.
    /// - Returns: the process id. The caller waits for it.
    static func start(
        _ argv: [String], environment: [String: String?], descriptors: (Int32, Int32, Int32), group: Group
    ) throws -> pid_t {
        guard let program = argv.first else { throw BasculeError(.defect, "a command without a program") }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in [(Int32(0), descriptors.0), (1, descriptors.1), (2, descriptors.2)] {
            if source < 0 {
                let mode = target == 0 ? O_RDONLY : O_WRONLY
                posix_spawn_file_actions_addopen(&actions, target, "/dev/null", mode, 0)
            } else {
                posix_spawn_file_actions_adddup2(&actions, source, target)
            }
        }
        // Libraries open descriptors without close-on-exec; a daemon that inherits one holds locks and sockets.
        _ = closeFrom?(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        switch group {
        case .inherited: break
        case .own:
            flags |= Int32(POSIX_SPAWN_SETPGROUP)
            posix_spawnattr_setpgroup(&attributes, 0)
        case .session: flags |= 0x80  // POSIX_SPAWN_SETSID, which the C importer leaves out.
        }
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        let pid = withCStrings(argv) { arguments in
            withCStrings(variables.map { "\($0.key)=\($0.value)" }) { environment in
                var pid: pid_t = -1
                let failure = descriptorLock.withLock { _ in
                    posix_spawnp(&pid, program, &actions, &attributes, arguments, environment)
                }
                return failure == 0 ? pid : -failure
            }
        }
        guard pid > 0 else {
            throw BasculeError(
                pid == -ENOENT ? .unsupported : .commandFailed, "\(program) could not be started",
                cause: String(cString: strerror(-pid)))
        }
        return pid
    }

    /// Keeps a child from being made between a pipe's creation and its close-on-exec mark.
    private static let descriptorLock = Mutex(())

    /// `posix_spawn_file_actions_addclosefrom_np`: glibc has had it since 2.34, behind a macro that the C importer
    /// does not set.
    private static let closeFrom: CloseFrom? =
        dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map { unsafeBitCast($0, to: CloseFrom.self) }
    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// A pipe whose ends no child inherits: (reading, writing).
    static func pipe() throws -> (reading: Int32, writing: Int32) {
        try descriptorLock.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard Glibc.pipe(&ends) == 0 else {
                throw BasculeError(.inputOutput, "no pipe", cause: Command.lastError())
            }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (ends[0], ends[1])
        }
    }

    /// Waits until the child has ended; the status as in `CommandResult`.
    static func wait(for pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return decode(status)
    }

    /// The status if the child has ended, nil while it runs.
    static func poll(_ pid: pid_t) -> Int32? {
        var status: Int32 = 0
        return waitpid(pid, &status, WNOHANG) == pid ? decode(status) : nil
    }

    private static func decode(_ status: Int32) -> Int32 {
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}
