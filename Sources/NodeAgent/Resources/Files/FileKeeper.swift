import BasculeModel
import Glibc

/// Regular files.
enum FileKeeper {
    /// Larger texts are not sent as previews.
    private static let previewLimit = 65_536

    static func observe(_ spec: FileSpec, _ context: NodeContext) throws -> FileObserved {
        let desired = spec.state == .present ? try context.digest(of: spec.content) : nil
        guard let parent = try ParentDirectory.find(spec.path), let status = try parent.status() else {
            return FileObserved(type: .nothing, desiredDigest: desired)
        }
        let type = PathType(status)
        let permissions = try Permissions(status)
        guard type == .file else { return FileObserved(type: type, permissions: permissions, desiredDigest: desired) }
        let file = openat(parent.descriptor, parent.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw systemError("read", spec.path) }
        defer { close(file) }
        var opened = stat()
        fstat(file, &opened)
        let isSecret = !spec.content.secrets.isEmpty
        let digest = context.digest(try FileDigests.hash(file, opened, spec.path), secret: isSecret)
        var text: String?
        if digest != desired, !isSecret, Int(opened.st_size) <= previewLimit {
            lseek(file, 0, SEEK_SET)
            text = String(validating: try AtomicFile.readAll(file, spec.path, limit: 1 << 20), as: UTF8.self)
        }
        return FileObserved(
            type: .file, permissions: permissions, digest: digest, desiredDigest: desired, text: text)
    }

    static func apply(_ spec: FileSpec, _ context: NodeContext) throws {
        switch spec.state {
        case .present:
            // Always by rename, also for permissions alone: changing a file in place would follow a hard link that
            // somebody else planted.
            try AtomicFile.write(spec.path, try context.bytes(of: spec.content), spec.permissions)
        case .absent:
            guard let parent = try ParentDirectory.find(spec.path), let status = try parent.status() else { return }
            guard PathType(status) != .directory else {
                throw BasculeError(
                    .invalidInput, "A directory stands where no file is to be", at: .thing(spec.path),
                    hint: "Bascule deletes no directory in a file's place; move it away")
            }
            try parent.remove()
        }
    }
}

extension PathType {
    init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        case S_IFLNK: self = .symlink
        default: self = .other
        }
    }
}

extension Permissions {
    init(_ status: stat) throws {
        let accounts = try AccountDatabase.current()
        self.init(
            owner: accounts.userName(status.st_uid), group: accounts.groupName(status.st_gid),
            mode: Int(status.st_mode & 0o7777))
    }
}
