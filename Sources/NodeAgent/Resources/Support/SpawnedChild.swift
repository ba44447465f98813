import BasculeModel
import Glibc

/// One running child with its pipes, served by the thread that waits for it.
struct SpawnedChild {
    private let program: String
    private let pid: pid_t
    private var input: Int32
    private var outputs: [Int32]
    private var pending: ArraySlice<UInt8>
    private var lines = [LineSplitter(), LineSplitter()]
    private var stdout: [UInt8] = []
    private var tail: [String] = []

    init(_ argv: [String], _ options: Subprocess.Options) throws {
        guard let name = argv.first else { throw BasculeError(.defect, "a command without a program") }
        program = name
        var pipes: [(read: Int32, write: Int32)] = []
        do {
            for _ in 0..<3 { pipes.append(try GNU.pipe(for: name)) }
            pid = try Self.spawn(argv, options, (pipes[0].read, pipes[1].write, pipes[2].write))
        } catch {
            for end in pipes { _ = (close(end.read), close(end.write)) }
            throw error
        }
        for end in [pipes[0].read, pipes[1].write, pipes[2].write] { close(end) }
        input = pipes[0].write
        outputs = [pipes[1].read, pipes[2].read]
        for end in [input] + outputs { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        pending = options.stdin[...]
    }

    /// Serves the pipes until the child has ended. A daemon that it left behind may keep them open: that holds
    /// nobody up.
    mutating func wait(_ options: Subprocess.Options) throws -> ProcessOutcome {
        defer { closeAll() }
        Self.blockBrokenPipes()
        let end = ContinuousClock.now.advanced(by: options.deadline)
        var patience: Int32 = 1
        while true {
            feed()
            let isSilent = outputs.allSatisfy { $0 < 0 }
            if let status = poll() {
                drain(options)
                for index in lines.indices { lines[index].finish().map { note($0, options) } }
                return ProcessOutcome(status: status, stdout: stdout, tail: tail)
            }
            var watched = outputs.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            watched.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0))
            _ = Glibc.poll(&watched, nfds_t(watched.count), isSilent ? 1 : patience)
            patience = min(20, patience * 2)
            drain(options)
            if options.isCancelled?() == true {
                stop()
                throw BasculeError(.cancelled, "\(program) was cancelled")
            }
            if ContinuousClock.now >= end {
                stop()
                throw BasculeError(
                    .timedOut, "\(program) did not end within \(options.deadline)",
                    cause: ProcessOutcome(status: -1, stdout: [], tail: tail).cause())
            }
        }
    }

    private mutating func feed() {
        while input >= 0 {
            let count = pending.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if pending.isEmpty || (count < 0 && errno != EAGAIN && errno != EINTR) {
                close(input)
                input = -1
            } else if count > 0 {
                pending = pending.dropFirst(count)
            } else {
                return
            }
        }
    }

    private mutating func drain(_ options: Subprocess.Options) {
        var buffer = [UInt8](repeating: 0, count: 16384)
        for index in outputs.indices {
            while outputs[index] >= 0 {
                let count = read(outputs[index], &buffer, buffer.count)
                if count > 0 {
                    if index == 0 { stdout += buffer[..<min(count, max(0, options.limit - stdout.count))] }
                    for line in lines[index].add(buffer[..<count]) { note(line, options) }
                } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                    close(outputs[index])
                    outputs[index] = -1
                } else {
                    break
                }
            }
        }
    }

    private mutating func note(_ line: String, _ options: Subprocess.Options) {
        guard !line.isEmpty else { return }
        tail.append(line)
        if tail.count > 80 { tail.removeFirst(40) }
        options.onLine?(line)
    }

    private func poll() -> Int32? {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// Ends the whole group: politely, then for good.
    private func stop() {
        kill(-pid, SIGTERM)
        var ended = false
        for _ in 0..<100 where !ended {
            ended = poll() != nil
            if !ended { usleep(10_000) }
        }
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        while !ended, waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    private mutating func closeAll() {
        for end in [input] + outputs where end >= 0 { close(end) }
        (input, outputs) = (-1, [-1, -1])
    }

    /// A child that ends without reading its input must not end us; only this thread is concerned.
    private static func blockBrokenPipes() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private static func spawn(
        _ argv: [String], _ options: Subprocess.Options, _ descriptors: (Int32, Int32, Int32)
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in [(Int32(0), descriptors.0), (1, descriptors.1), (2, descriptors.2)] {
            posix_spawn_file_actions_adddup2(&actions, source, target)
        }
        if let path = options.stdinPath { posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0) }
        try GNU.closeFrom(&actions, 3)
        try GNU.changeDirectory(&actions, options.directory ?? "/")
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETPGROUP)
        posix_spawnattr_setflags(&attributes, Int16(flags))
        let home = try options.user.flatMap { try AccountDatabase.current().users[$0]?.home } ?? "/root"
        let variables = Subprocess.environment(adding: options.environment, home: home)
        guard let path = find(argv[0]) else {
            throw BasculeError(.unsupported, "The program \(argv[0]) is not installed", at: .thing(argv[0]))
        }
        var pid: pid_t = -1
        let failure = withCStrings(argv) { arguments in
            withCStrings(variables.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawn(&pid, path, &actions, &attributes, arguments, environment)
            }
        }
        guard failure == 0 else {
            throw BasculeError(
                .commandFailed, "\(argv[0]) could not be started", cause: String(cString: strerror(failure)))
        }
        return pid
    }

    private static func find(_ program: String) -> String? {
        if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
        return ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].lazy
            .map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}

/// Cuts a stream of bytes into lines.
struct LineSplitter {
    private var rest: [UInt8] = []
    private static let longest = 2000

    /// The lines that these bytes complete.
    mutating func add(_ bytes: ArraySlice<UInt8>) -> [String] {
        var found: [String] = []
        for byte in bytes {
            if byte == 10 || byte == 13 {
                found.append(String(decoding: rest, as: UTF8.self))
                rest.removeAll(keepingCapacity: true)
            } else if rest.count < Self.longest {
                rest.append(byte)
            }
        }
        return found
    }

    /// What stands after the last line end.
    mutating func finish() -> String? {
        defer { rest = [] }
        return rest.isEmpty ? nil : String(decoding: rest, as: UTF8.self)
    }
}
