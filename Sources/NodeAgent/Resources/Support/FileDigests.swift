import BasculeCrypto
import BasculeModel
import Glibc
import Synchronization

/// What tells one state of a file from another without reading it.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var modified: Int64
    var changed: Int64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    }

    /// The file at a path (links followed); nil where there is none.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Another change could still carry the same times: the kernel's clock ticks every 4 ms.
    var isFresh: Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec) - changed < 50_000_000
    }
}

/// SHA-256 of files, computed once per state of a file.
package enum FileDigests {
    private static let known = Mutex<[FileIdentity: [UInt8]]>([:])

    /// The hash of an open regular file whose status is `status`.
    static func hash(_ file: Int32, _ status: stat, _ path: String) throws -> [UInt8] {
        let identity = FileIdentity(status)
        if let hash = known.withLock({ $0[identity] }) { return hash }
        var hasher = SHA256()
        var buffer = [UInt8](repeating: 0, count: min(1 << 18, max(4096, Int(status.st_size) + 1)))
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw systemError("read", path)
            }
            if count == 0 { break }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        let hash = hasher.finalize()
        if !identity.isFresh {
            known.withLock {
                // A state that is over is never asked for again: a file that is healed often leaves many.
                if $0.count > 4000 { $0.removeAll() }
                $0[identity] = hash
            }
        }
        return hash
    }

    /// The hash of the program that runs, also where its file was replaced since.
    package static func hashOfOwnProgram() throws -> [UInt8] {
        let path = "/proc/self/exe"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw systemError("read", path) }
        defer { close(file) }
        var status = stat()
        fstat(file, &status)
        return try hash(file, status, path)
    }

    /// The hash of the regular file at a path, its last component not followed; nil where there is none.
    package static func hash(_ path: String) throws -> [UInt8]? {
        guard let parent = try ParentDirectory.find(path), let status = try parent.status(),
            status.st_mode & S_IFMT == S_IFREG
        else { return nil }
        let file = openat(parent.descriptor, parent.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw systemError("read", path) }
        defer { close(file) }
        var now = stat()
        fstat(file, &now)
        return try hash(file, now, path)
    }
}

extension NodeContext {
    /// The digest that stands for a SHA-256 on this node: itself, or keyed where the content holds secrets.
    func digest(_ hash: [UInt8], secret: Bool) -> Digest {
        secret ? Digest(of: hash, key: nodeKey) : Digest(rawValue: Hex.encode(hash))
    }

    /// The digest that desired content has on this node.
    func digest(of content: Content) throws -> Digest {
        switch content {
        case .blob(let digest, _): digest
        case .parts: self.digest(SHA256.hash(try bytes(of: content)), secret: !content.secrets.isEmpty)
        }
    }

    /// The bytes of desired content: placeholders filled, or the uploaded file's.
    func bytes(of content: Content) throws -> [UInt8] {
        if let filled = try content.filled(resolve) { return filled }
        guard case .blob(let digest, _) = content else { return [] }
        guard let bytes = try AtomicFile.read(blobPath(digest)) else {
            throw BasculeError(
                .missingPrerequisite, "The uploaded content \(digest.rawValue.prefix(12)) is not on this node",
                hint: "apply again: the controller uploads what is missing")
        }
        guard Digest(of: bytes) == digest else {
            throw BasculeError(.inputOutput, "The uploaded content \(digest.rawValue.prefix(12)) is damaged")
        }
        return bytes
    }
}
