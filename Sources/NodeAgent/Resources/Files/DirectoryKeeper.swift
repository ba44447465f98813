import BasculeModel
import Glibc

/// Directories. What is in them is never touched.
enum DirectoryKeeper {
    static func observe(_ spec: DirectorySpec) throws -> DirectoryObserved {
        guard let parent = try ParentDirectory.find(spec.path), let status = try parent.status() else {
            return DirectoryObserved(type: .nothing)
        }
        let type = PathType(status)
        return DirectoryObserved(
            type: type, permissions: try Permissions(status),
            // Only a deletion asks; elsewhere every new file would look like a change.
            isEmpty: type == .directory && spec.state == .absent ? try isEmpty(parent) : true)
    }

    static func apply(_ spec: DirectorySpec) throws {
        switch spec.state {
        case .present:
            let accounts = try AccountDatabase.current()
            let (owner, group) = (try accounts.uid(spec.permissions.owner), try accounts.gid(spec.permissions.group))
            let parent = try ParentDirectory.make(spec.path)
            guard mkdirat(parent.descriptor, parent.name, 0o700) == 0 || errno == EEXIST else {
                throw systemError("make the directory", spec.path)
            }
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let directory = openat(parent.descriptor, parent.name, flags)
            guard directory >= 0 else { throw systemError("open the directory", spec.path) }
            defer { close(directory) }
            guard fchown(directory, owner, group) == 0, fchmod(directory, mode_t(spec.permissions.mode & 0o7777)) == 0
            else { throw systemError("change the permissions of", spec.path) }
            fsync(directory)
            try parent.sync()
        case .absent:
            guard let parent = try ParentDirectory.find(spec.path) else { return }
            guard unlinkat(parent.descriptor, parent.name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
                throw systemError("remove the directory", spec.path)
            }
            try parent.sync()
        }
    }

    private static func isEmpty(_ parent: ParentDirectory) throws -> Bool {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let descriptor = openat(parent.descriptor, parent.name, flags)
        guard descriptor >= 0, let stream = fdopendir(descriptor) else { throw systemError("read", parent.path) }
        defer { closedir(stream) }
        var count = 0
        while readdir(stream) != nil, count <= 2 { count += 1 }
        return count <= 2
    }
}

/// The names in a directory, without `.` and `..`, sorted; nil where it is not there.
func directoryNames(_ path: String) -> [String]? {
    guard let stream = opendir(path) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}
