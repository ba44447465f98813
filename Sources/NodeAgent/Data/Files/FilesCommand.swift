import BasculeModel
import BasculeNet
import Glibc

/// Runs one program by its argument vector, in a process group of its own that dies with a cancellation.
struct FilesCommand {
    struct Ending {
        /// The exit code, or 128 plus the signal.
        let status: Int32
        /// The last 8 KiB of what it said on standard error.
        let complaint: [UInt8]
    }

    let program: String
    let arguments: [String]
    var isCancelled: () -> Bool = { false }
    /// Added to its environment, `NAME=VALUE`; nothing secret.
    var environment: [String] = []

    /// Runs it; `take` gets its standard output as it comes. No input, and an environment of three variables and more.
    func run(_ take: ([UInt8]) throws -> Void) throws -> Ending {
        let output = try Pipe()
        let errors = try Pipe()
        let process = try spawn(output: output, errors: errors)
        output.closeWriter()
        errors.closeWriter()
        var ended = false
        defer {
            if !ended { Self.stop(process) }
        }
        var complaint: [UInt8] = []
        var open = [output.reader, errors.reader]
        var buffer = [UInt8](repeating: 0, count: 65536)
        while !open.isEmpty {
            if isCancelled() { throw BasculeError(.cancelled, "The move of the files was cancelled") }
            var entries = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if poll(&entries, nfds_t(entries.count), 200) < 0, errno != EINTR { break }
            for entry in entries where entry.revents != 0 {
                let count = read(entry.fd, &buffer, buffer.count)
                if count <= 0 {
                    if count < 0, errno == EINTR { continue }
                    open.removeAll { $0 == entry.fd }
                } else if entry.fd == output.reader {
                    try take(Array(buffer[..<count]))
                } else {
                    complaint = Array((complaint + buffer[..<count]).suffix(8192))
                }
            }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        ended = true
        let signal = status & 0x7f
        return Ending(status: signal == 0 ? (status >> 8) & 0xff : 128 + signal, complaint: complaint)
    }

    /// Asks first: rsync then keeps the half of a file that it has. What does not end within 5 s is killed.
    private static func stop(_ process: pid_t) {
        var status: Int32 = 0
        var isOver = false
        kill(-process, SIGTERM)
        for _ in 0..<100 {
            isOver = isOver || waitpid(process, &status, WNOHANG) != 0
            // Of rsync's processes not the first one writes: the half of a file is put away after that one has ended.
            if isOver, kill(-process, 0) != 0 { return }
            Monotonic.sleep(.milliseconds(50))
        }
        kill(-process, SIGKILL)
        while !isOver, waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    private func spawn(output: Pipe, errors: Pipe) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writer, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.writer, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var pipeSignal = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &pipeSignal)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let vector = Self.copies([program] + arguments)
        let environment = Self.copies(
            ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/nonexistent"] + self.environment)
        defer { for pointer in vector + environment { free(pointer) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, program, &actions, &attributes, vector, environment)
        guard code == 0 else {
            throw BasculeError(
                .unsupported, "Could not start \(program)", cause: String(cString: strerror(code)),
                hint: "Install the packages rsync and openssh-client on the node.")
        }
        return process
    }

    /// C strings that must be freed, and the null pointer that ends them.
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var out: [UnsafeMutablePointer<CChar>?] = []
        for text in texts { out.append(text.withCString { strdup($0) }) }
        return out + [nil]
    }

    private final class Pipe {
        let reader: Int32
        private(set) var writer: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
                throw BasculeError(.inputOutput, "Could not open a pipe", cause: String(cString: strerror(errno)))
            }
            (reader, writer) = (ends[0], ends[1])
        }

        func closeWriter() {
            if writer >= 0 { close(writer) }
            writer = -1
        }

        deinit {
            closeWriter()
            close(reader)
        }
    }
}
