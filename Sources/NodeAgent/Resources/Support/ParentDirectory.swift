import BasculeModel
import Glibc

/// The directory that holds a path, opened component by component.
///
/// A symbolic link on the way is followed only where root owns both it and the directory that it stands in: nobody
/// else can turn a write of ours elsewhere, before or during it.
final class ParentDirectory {
    /// An `O_PATH` descriptor.
    let descriptor: Int32
    /// The last component of the path.
    let name: String
    /// The whole path, for messages.
    let path: String

    private init(descriptor: Int32, name: String, path: String) {
        (self.descriptor, self.name, self.path) = (descriptor, name, path)
    }

    deinit { close(descriptor) }

    /// Opens the parent of an absolute path; nil where one of the directories is missing.
    static func find(_ path: String) throws -> ParentDirectory? { try walk(path, create: false) }

    /// Opens the parent, making what is missing as root:root 0755.
    static func make(_ path: String) throws -> ParentDirectory {
        guard let parent = try walk(path, create: true) else { throw systemError("make the parents of", path, ENOENT) }
        return parent
    }

    private static func walk(_ path: String, create: Bool) throws -> ParentDirectory? {
        let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        guard path.hasPrefix("/"), let name = parts.last, !parts.contains(".."), !path.utf8.contains(0) else {
            throw BasculeError(.invalidInput, "The path is not absolute and plain", at: .thing(path))
        }
        var pending = parts.dropLast()[...]
        var current = try root()
        var keep = false
        defer { if !keep { close(current) } }
        var links = 0
        while let part = pending.popFirst() {
            var next = openat(current, part, GNU.openPath | O_NOFOLLOW | O_CLOEXEC)
            if next < 0, errno == ENOENT {
                guard create else { return nil }
                next = try makeDirectory(part, in: current, path)
            }
            guard next >= 0 else { throw systemError("reach", path) }
            var status = stat()
            fstat(next, &status)
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                close(current)
                current = next
            case S_IFLNK:
                defer { close(next) }
                links += 1
                let target = try follow(next, status, in: current, path, links)
                if target.hasPrefix("/") {
                    close(current)
                    current = try root()
                }
                pending = target.split(separator: "/").filter { $0 != "." }.map(String.init)[...] + pending
            default:
                close(next)
                throw systemError("reach", path, ENOTDIR)
            }
        }
        keep = true
        return ParentDirectory(descriptor: current, name: name, path: path)
    }

    private static func root() throws -> Int32 {
        let descriptor = open("/", GNU.openPath | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("open", "/") }
        return descriptor
    }

    private static func makeDirectory(_ name: String, in directory: Int32, _ path: String) throws -> Int32 {
        guard mkdirat(directory, name, 0o755) == 0 || errno == EEXIST else {
            throw systemError("make a parent of", path)
        }
        let made = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC)
        guard made >= 0 else { throw systemError("reach", path) }
        fchmod(made, 0o755)
        fsync(made)
        try sync(directory, path)
        return made
    }

    private static func follow(
        _ link: Int32, _ status: stat, in directory: Int32, _ path: String, _ count: Int
    ) throws -> String {
        var around = stat()
        fstat(directory, &around)
        guard status.st_uid == 0, around.st_uid == 0 else {
            throw BasculeError(
                .unsafePath, "A directory on the way is a symbolic link that root does not own", at: .thing(path),
                hint: "replace the link by a directory, or declare the path that it leads to")
        }
        guard count <= 40 else { throw systemError("follow the links of", path, ELOOP) }
        return try target(link, "", path)
    }

    /// Makes names that were added or removed in a directory survive a power cut.
    private static func sync(_ directory: Int32, _ path: String) throws {
        let real = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard real >= 0 else { throw systemError("open the directory of", path) }
        defer { close(real) }
        guard fsync(real) == 0 else { throw systemError("sync the directory of", path) }
    }

    /// Makes names that were added or removed here survive a power cut.
    func sync() throws { try Self.sync(descriptor, path) }

    /// What stands at the name, not followed; nil where nothing does.
    func status() throws -> stat? {
        var status = stat()
        if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return status }
        guard errno == ENOENT else { throw systemError("look at", path) }
        return nil
    }

    /// Where the symbolic link at the name points.
    func linkTarget() throws -> String {
        try Self.target(descriptor, name, path)
    }

    private static func target(_ directory: Int32, _ name: String, _ path: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlinkat(directory, name, &buffer, buffer.count)
        guard length > 0 else { throw systemError("read the link", path) }
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes the file or link at the name; missing is fine.
    func remove() throws {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else { throw systemError("remove", path) }
        try sync()
    }
}
