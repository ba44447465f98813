import BasculeModel
import Glibc

/// Unix stream sockets: the agent's only door.
enum UnixSocket {
    private static func address(_ path: String) throws -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BasculeError(.invalidInput, "the socket path \(path) is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    /// A connected descriptor.
    static func connect(_ path: String) throws -> Int32 {
        var address = try address(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let failure = DurableFile.failure("reach the agent at", path)
            close(descriptor)
            throw BasculeError(
                .agentDown, failure.message, cause: failure.cause, hint: "look at: systemctl status bascule-agent")
        }
        return descriptor
    }

    /// The process at the other end of a connection; nil where the kernel does not tell.
    static func peer(of descriptor: Int32) -> pid_t? {
        // Swift's Glibc does not have `struct ucred`: process, user and group, four bytes each.
        var credentials: (pid: Int32, user: UInt32, group: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, credentials.pid > 0 else {
            return nil
        }
        return credentials.pid
    }

    /// A listening descriptor that only root and `group` can connect to.
    static func listen(_ path: String, group: gid_t?) throws -> Int32 {
        var address = try address(path)
        unlink(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, chmod(path, 0o660) == 0, chown(path, 0, group ?? 0) == 0, Glibc.listen(descriptor, 64) == 0
        else {
            let failure = DurableFile.failure("listen at", path)
            close(descriptor)
            throw failure
        }
        return descriptor
    }

    /// Whether the process at the other end runs as root, as the kernel noted it when it connected.
    static func isRoot(_ descriptor: Int32) -> Bool {
        // The kernel's `struct ucred`: pid, uid, gid, 32 bits each. Glibc shows it only under a feature macro.
        var peer: [UInt32] = [0, .max, .max]
        var size = socklen_t(12)
        return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == 12 && peer[1] == 0
    }
}

extension ErrorCode {
    /// The agent does not answer on its own node.
    package static let agentDown: ErrorCode = "agent-down"
}
