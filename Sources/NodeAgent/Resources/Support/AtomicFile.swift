import BasculeModel
import Glibc

/// Writes files so that each is wholly the old or wholly the new one, whatever happens.
package enum AtomicFile {
    /// Replaces what stands at the path (a link itself, never what it points to) by a regular file.
    ///
    /// The temporary name is derived from the name, so that what a crash left behind is taken up by the next write.
    /// - Parameter kind: what the file is, in the names of its failpoints.
    package static func write(
        _ path: String, _ bytes: [UInt8], _ permissions: Permissions, kind: String = "managed"
    ) throws {
        let accounts = try AccountDatabase.current()
        let owner = try accounts.uid(permissions.owner)
        let group = try accounts.gid(permissions.group)
        let parent = try ParentDirectory.make(path)
        let temporary = ".\(String(parent.name.prefix(200))).bascule-new"
        Failpoint.hit("agent.\(kind).write.before")
        let file = try create(temporary, in: parent)
        var isOpen = true
        do {
            try bytes.withUnsafeBytes { try writeAll($0, to: file, path) }
            Failpoint.hit("agent.\(kind).fsync.before")
            guard fchown(file, owner, group) == 0 else { throw systemError("change the owner of", path) }
            guard fchmod(file, mode_t(permissions.mode & 0o7777)) == 0 else {
                throw systemError("change the mode of", path)
            }
            guard fsync(file) == 0 else { throw systemError("write", path) }
            isOpen = false
            guard close(file) == 0 else { throw systemError("write", path) }
            Failpoint.hit("agent.\(kind).rename.before")
            guard renameat(parent.descriptor, temporary, parent.descriptor, parent.name) == 0 else {
                throw systemError("put in place", path)
            }
        } catch {
            if isOpen { close(file) }
            unlinkat(parent.descriptor, temporary, 0)
            throw error
        }
        Failpoint.hit("agent.\(kind).rename.after")
        try parent.sync()
        Failpoint.hit("agent.\(kind).sync.after")
    }

    /// Replaces a symbolic link atomically.
    package static func link(_ path: String, to target: String) throws {
        let parent = try ParentDirectory.make(path)
        let temporary = ".\(String(parent.name.prefix(200))).bascule-new"
        unlinkat(parent.descriptor, temporary, 0)
        guard symlinkat(target, parent.descriptor, temporary) == 0 else { throw systemError("make the link", path) }
        Failpoint.hit("agent.link.rename.before")
        guard renameat(parent.descriptor, temporary, parent.descriptor, parent.name) == 0 else {
            let number = errno
            unlinkat(parent.descriptor, temporary, 0)
            throw systemError("put in place", path, number)
        }
        Failpoint.hit("agent.link.rename.after")
        try parent.sync()
    }

    /// A file's bytes, its last component not followed; nil where nothing is there.
    package static func read(_ path: String, limit: Int = 256 << 20) throws -> [UInt8]? {
        guard let parent = try ParentDirectory.find(path), let status = try parent.status() else { return nil }
        guard status.st_mode & S_IFMT == S_IFREG else { throw systemError("read", path, EISDIR) }
        let file = openat(parent.descriptor, parent.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw systemError("read", path) }
        defer { close(file) }
        return try readAll(file, path, sizeHint: Int(status.st_size), limit: limit)
    }

    /// All that a descriptor gives.
    static func readAll(_ file: Int32, _ path: String, sizeHint: Int = 0, limit: Int = 256 << 20) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let room = bytes.isEmpty ? max(4096, sizeHint + 1) : 65536
            var failure: Int32 = 0
            let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                let got = Glibc.read(file, buffer.baseAddress, room)
                if got < 0 { failure = errno }
                count = max(0, got)
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw systemError("read", path, failure) }
            if piece.isEmpty { return bytes }
            if bytes.isEmpty { bytes = piece } else { bytes += piece }
            guard bytes.count <= limit else {
                throw BasculeError(.inputOutput, "The file is larger than \(limit) bytes", at: .thing(path))
            }
        }
    }

    private static func create(_ name: String, in parent: ParentDirectory) throws -> Int32 {
        for _ in 0..<3 {
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            let file = openat(parent.descriptor, name, flags, 0o600)
            if file >= 0 { return file }
            guard errno == EEXIST else { break }
            unlinkat(parent.descriptor, name, 0)
        }
        throw systemError("write beside", parent.path)
    }

    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32, _ path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0 {
                if errno == EINTR { continue }
                throw systemError("write", path)
            }
            done += count
        }
    }
}
