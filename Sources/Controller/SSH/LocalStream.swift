import BasculeModel
import Glibc

/// A Unix stream socket on a transport's thread, to another process of the same user. Both ends check that user.
package actor LocalStream {
    nonisolated let transport: SSHTransport
    /// The transport's thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { transport.loop.asUnownedSerialExecutor() }
    private var source: Source?
    private let writing: TaskGate

    fileprivate init(descriptor: Int32, transport: SSHTransport) async {
        self.transport = transport
        writing = TaskGate(loop: transport.loop)
        source = Source(descriptor: descriptor, loop: transport.loop)
    }

    isolated deinit { close() }

    /// Connects to a process that listens at `path`; nil where nobody does, or somebody else's process.
    package static func connect(_ path: String, transport: SSHTransport? = nil) async throws -> LocalStream? {
        let transport = try transport ?? .shared
        guard let address = LocalStream.address(path) else { return nil }
        let descriptor = LocalStream.socket()
        guard descriptor >= 0 else { return nil }
        // A Unix socket connects at once or, where the listener's queue is full, not at all.
        guard LocalStream.withAddress(address, { Glibc.connect(descriptor, $0, $1) }) == 0,
            LocalStream.peer(of: descriptor) == geteuid()
        else {
            Glibc.close(descriptor)
            return nil
        }
        return await LocalStream(descriptor: descriptor, transport: transport)
    }

    /// The next bytes, at most 64 KiB; nil at the end.
    package func read(deadline: Duration? = nil) async throws -> [UInt8]? {
        let deadline = deadline.map { ContinuousClock.now + $0 }
        while let source {
            let (count, bytes, problem) = receive(source)
            if count > 0 { return bytes }
            if count == 0 || problem == ECONNRESET { return nil }
            guard problem == EAGAIN || problem == EINTR else {
                throw BasculeError(.inputOutput, "the local connection broke", cause: errorText(problem))
            }
            if let deadline, ContinuousClock.now >= deadline {
                throw BasculeError(.timedOut, "the local process did not answer")
            }
            try await source.wait(.readable, until: deadline, on: self)
        }
        return nil
    }

    private func receive(_ source: Source) -> (Int, [UInt8], Int32) {
        let scratch = transport.loop.scratch
        let count = recv(source.descriptor, scratch.baseAddress, scratch.count, 0)
        return (count, count > 0 ? Array(scratch[..<count]) : [], errno)
    }

    /// Writes all of it, in order with other writes.
    package func write(_ bytes: [UInt8]) async throws {
        try await writing.enter(until: nil, on: self)
        defer { writing.leave() }
        var offset = 0
        while offset < bytes.count {
            guard let source else { throw BasculeError(.inputOutput, "the local connection is closed") }
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    source.descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                offset += count
            } else if errno == EAGAIN {
                // One interest at a time: whoever reads meanwhile is woken too, and looks again.
                try await source.wait([.readable, .writable], until: .now + .milliseconds(50), on: self)
            } else if errno != EINTR {
                throw BasculeError(.inputOutput, "the local connection broke", cause: errorText(errno))
            }
        }
    }

    /// Closing twice is fine.
    package func close() {
        guard let source else { return }
        self.source = nil
        source.close()
        Glibc.close(source.descriptor)
    }

    // MARK: the system's calls

    fileprivate static func socket() -> Int32 {
        Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }

    /// nil where the path is too long for the system.
    package static func fits(_ path: String) -> Bool { address(path) != nil }

    fileprivate static func address(_ path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, !bytes.contains(0), bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return nil
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    fileprivate static func withAddress(
        _ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The user at the other end; nil where the system does not say.
    fileprivate static func peer(of descriptor: Int32) -> uid_t? {
        // `struct ucred`: pid, uid, gid.
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return nil }
        return credentials.1
    }
}

/// A Unix socket that only processes of this user can use.
package actor LocalListener {
    nonisolated let transport: SSHTransport
    /// The transport's thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { transport.loop.asUnownedSerialExecutor() }
    private var source: Source?
    private let path: String

    private init(descriptor: Int32, path: String, transport: SSHTransport) async {
        (self.transport, self.path) = (transport, path)
        source = Source(descriptor: descriptor, loop: transport.loop)
    }

    /// Listens at `path` (mode 0600). nil where another process does already; what a dead one left is replaced.
    package static func listen(_ path: String, transport: SSHTransport? = nil) async throws -> LocalListener? {
        let transport = try transport ?? .shared
        guard let address = LocalStream.address(path) else {
            throw BasculeError(.invalidInput, "the path of the socket is too long: \(path)")
        }
        let descriptor = LocalStream.socket()
        // Created with this mode, not changed to it: there is no moment in which others may connect.
        let mask = umask(0o177)
        var status = LocalStream.withAddress(address) { bind(descriptor, $0, $1) }
        if status != 0, errno == EADDRINUSE {
            if let other = try await LocalStream.connect(path, transport: transport) {
                await other.close()
                umask(mask)
                Glibc.close(descriptor)
                return nil
            }
            unlink(path)
            status = LocalStream.withAddress(address) { bind(descriptor, $0, $1) }
        }
        umask(mask)
        guard status == 0, Glibc.listen(descriptor, 256) == 0 else {
            let cause = errorText(errno)
            Glibc.close(descriptor)
            throw BasculeError(.inputOutput, "cannot listen at \(path)", cause: cause)
        }
        return await LocalListener(descriptor: descriptor, path: path, transport: transport)
    }

    /// The next connection of a process of this user; others are turned away.
    package func accept() async throws -> LocalStream {
        while let source {
            let descriptor = Glibc.accept(source.descriptor, nil, nil)
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
                if LocalStream.peer(of: descriptor) == geteuid() {
                    return await LocalStream(descriptor: descriptor, transport: transport)
                }
                Glibc.close(descriptor)
            } else if errno == EMFILE || errno == ENFILE {
                try await Task.sleep(for: .milliseconds(100))
            } else {
                try await source.wait(.readable, until: nil, on: self)
            }
        }
        throw BasculeError(.inputOutput, "the local socket is closed")
    }

    /// Takes the socket's name away.
    package func close() {
        guard let source else { return }
        self.source = nil
        unlink(path)
        source.close()
        Glibc.close(source.descriptor)
    }
}
