import BasculeCrypto
import BasculeModel
import Glibc

/// What a manifest knows about a path.
enum FilesEntry: Hashable {
    /// A regular file: the SHA-256 of its content, 32 bytes.
    case file(sha256: [UInt8])
    /// A symbolic link and where it points.
    case link(to: [UInt8])
}

/// Every file and link of a tree by its relative path (without `./`).
typealias FilesManifest = [[UInt8]: FilesEntry]

/// The target's tree. Never follows a link.
struct FilesTree {
    let root: String
    let isCancelled: () -> Bool

    /// Where rsync keeps half-transferred files, in each directory.
    static let partial = ".bascule-partial"
    /// In the topmost directory: the move's marker, and files in transfer.
    static let own = ".bascule-move"

    /// Whether a path is the mover's own, at either side: never copied, never compared.
    static func isOwn(_ path: [UInt8]) -> Bool {
        let parts = path.split(separator: 47)
        return parts.first?.elementsEqual(own.utf8) == true || parts.contains { $0.elementsEqual(partial.utf8) }
    }

    /// Calls `visit` with each entry that is not a directory; `visit` returns false to stop.
    func walk(_ visit: (_ path: [UInt8], _ parent: Int32, _ name: [UInt8], _ kind: mode_t) throws -> Bool) throws {
        let descriptor = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw failure("open", []) }
        _ = try walk(descriptor, [], visit)
    }

    /// Takes the descriptor over.
    private func walk(
        _ descriptor: Int32, _ path: [UInt8], _ visit: ([UInt8], Int32, [UInt8], mode_t) throws -> Bool
    ) throws -> Bool {
        guard let stream = fdopendir(descriptor) else {
            close(descriptor)
            throw failure("read", path)
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { start in
                    Array(UnsafeBufferPointer(start: start, count: 256).prefix { $0 != 0 })
                }
            }
            if name != [46], name != [46, 46],
                !Self.isOwn(path.isEmpty ? name : path + [47] + name)
            {
                names.append(name)
            }
        }
        for name in names {
            if isCancelled() { throw BasculeError(.cancelled, "The move of the files was cancelled") }
            var status = stat()
            let full = path.isEmpty ? name : path + [47] + name
            guard Self.cString(name, { fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                throw failure("look at", full)
            }
            let kind = status.st_mode & S_IFMT
            if kind == S_IFDIR {
                let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
                let inner = Self.cString(name) { openat(descriptor, $0, flags) }
                guard inner >= 0 else { throw failure("open", full) }
                guard try walk(inner, full, visit) else { return false }
            } else if try !visit(full, descriptor, name, kind) {
                return false
            }
        }
        return true
    }

    /// Whether the tree holds anything but the mover's own files.
    func isEmpty() throws -> Bool {
        var empty = true
        try walk { _, _, _, _ in
            empty = false
            return false
        }
        return empty
    }

    /// Hashes everything.
    func manifest(_ tell: (Int) -> Void) throws -> FilesManifest {
        var out: FilesManifest = [:]
        try walk { path, parent, name, kind in
            if kind == S_IFREG {
                out[path] = .file(sha256: try hash(parent, name, path))
            } else if kind == S_IFLNK {
                out[path] = .link(to: try target(parent, name, path))
            }
            if out.count % 500 == 0 { tell(out.count) }
            return true
        }
        return out
    }

    private func hash(_ parent: Int32, _ name: [UInt8], _ path: [UInt8]) throws -> [UInt8] {
        let descriptor = Self.cString(name) { openat(parent, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return hash.finalize() }
            buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    private func target(_ parent: Int32, _ name: [UInt8], _ path: [UInt8]) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { space in
            Self.cString(name) { name in
                space.baseAddress.map { start in
                    readlinkat(parent, name, start.assumingMemoryBound(to: CChar.self), space.count)
                } ?? -1
            }
        }
        guard count >= 0 else { throw failure("read", path) }
        return Array(buffer[..<count])
    }

    private static func cString<T>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> T) -> T {
        (bytes + [0]).withUnsafeBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { buffer in
                // The array holds at least its NUL, so that there is a first element.
                buffer.baseAddress.map(body) ?? "".withCString(body)
            }
        }
    }

    private func failure(_ action: String, _ path: [UInt8]) -> BasculeError {
        let cause = String(cString: strerror(errno))
        return BasculeError(
            .inputOutput, "Could not \(action) a file of the target", at: .thing("\(root)/\(printable(path))"),
            cause: cause)
    }
}
