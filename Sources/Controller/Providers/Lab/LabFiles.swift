import BasculeModel
import Foundation
import Glibc

/// The few file operations that the lab needs, with permissions that do not depend on our umask.
enum LabFiles {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Names in a directory, sorted; none if there is no such directory.
    static func list(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// Makes a directory and the missing ones above it.
    static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws {
        if mkdir(path, mode) == 0 || errno == EEXIST {
            chmod(path, mode)
            return
        }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw failure("could not be made", path)
        }
        try makeDirectory(String(path[..<slash]))
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("could not be made", path) }
        chmod(path, mode)
    }

    /// Replaces a file as a whole.
    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
        let temporary = "\(path).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw failure("could not be written", path) }
        fchmod(descriptor, mode)
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do { try handle.write(contentsOf: Data(text.utf8)) } catch {
            unlink(temporary)
            throw BasculeError(.inputOutput, "a file could not be written", at: .thing(path), cause: "\(error)")
        }
        guard rename(temporary, path) == 0 else { throw failure("could not be put in place", path) }
    }

    /// Writes to a kernel interface such as `/proc/sys`; these know no renaming.
    static func poke(_ text: String, into path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("could not be opened", path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw failure("refused a value", path) }
    }

    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from path: String) -> Value? {
        FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(type, from: $0) }
    }

    /// Removes a tree for good. Whatever is still mounted within is detached first, and no other file system is
    /// entered: a bind-mounted `/dev` below must never be emptied.
    static func removeTree(_ path: String) async throws {
        guard exists(path) else { return }
        LabMounts.detachAll(under: path)
        _ = try await Command.run(["rm", "-rf", "--one-file-system", "--", path], deadline: .seconds(300))
            .requireSuccess("removing \(path)")
    }

    /// Gives a file or directory another name on the same file system.
    static func move(_ path: String, to target: String) throws {
        guard rename(path, target) == 0 else { throw failure("could not be moved", path) }
    }

    static func failure(_ what: String, _ path: String) -> BasculeError {
        let code: ErrorCode = errno == ENOSPC ? .diskFull : .inputOutput
        return BasculeError(code, "a file \(what)", at: .thing(path), cause: Command.lastError())
    }
}

/// Mounting without a program in between.
enum LabMounts {
    /// Mounts an overlay. `lower` begins with the topmost layer.
    static func overlay(lower: [String], upper: String, work: String, at target: String) throws {
        let options = "lowerdir=\(lower.joined(separator: ":")),upperdir=\(upper),workdir=\(work)"
        // Without it a directory of a lower layer cannot be renamed, as PostgreSQL does to drop a slot that a checkpoint
        // holds. Kernels may lack it.
        guard
            mount("bascule-lab", target, "overlay", 0, "\(options),redirect_dir=on") == 0
                || mount("bascule-lab", target, "overlay", 0, options) == 0
        else {
            throw LabFiles.failure("system could not be overlaid", target)
        }
    }

    /// Makes a directory a mount of its own whose changes reach every namespace that copied it. systemd-nspawn copies
    /// all mounts of its start into the node's namespace; where the host's are private, a node would hold its
    /// neighbours' disks until it ends itself, long after they were unmounted here.
    static func share(_ directory: String) throws {
        // Mounted twice, the second would hide the first with all that is mounted below it.
        if isMountPoint(directory) { return }
        guard mount(directory, directory, nil, UInt(MS_BIND), nil) == 0,
            mount(nil, directory, nil, UInt(MS_PRIVATE), nil) == 0,
            mount(nil, directory, nil, UInt(MS_SHARED), nil) == 0
        else { throw LabFiles.failure("system could not be shared", directory) }
    }

    /// Detaches a mount at exactly this path; nothing if there is none.
    static func detach(_ path: String) {
        while umount2(path, 2 | 8) == 0 {}  // MNT_DETACH | UMOUNT_NOFOLLOW
    }

    /// Detaches everything mounted at or below this path, innermost first.
    static func detachAll(under path: String) {
        // The table changes while it is read when other labs come and go: look again until nothing is left.
        for attempt in 0..<50 {
            let left = points(in: table()).filter { $0 == path || $0.hasPrefix(path + "/") }
            if left.isEmpty { return }
            for point in left.reversed() { detach(point) }
            if attempt > 0 { usleep(20_000) }
        }
    }

    /// Whether a directory is another mount than its parent. Unlike a look into `mountinfo`, which can skip a line while
    /// a neighbour's mount goes, this is never wrong.
    static func isMountPoint(_ directory: String) -> Bool {
        func mountID(_ path: String) -> Substring? {
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            defer { close(descriptor) }
            return LabFiles.read("/proc/self/fdinfo/\(descriptor)")?.split(separator: "\n").first {
                $0.hasPrefix("mnt_id:")
            }
        }
        return mountID(directory) != mountID("\(directory)/..")
    }

    static func isMounted(_ path: String) -> Bool {
        points(in: table()).contains(path)
    }

    /// `/proc/self/mountinfo`, read until two readings agree: it comes in pieces, and while other mounts come and go a
    /// line can be missing from one reading.
    private static func table() -> String {
        var last = reading()
        for _ in 0..<50 {
            let next = reading()
            if next == last { break }
            last = next
        }
        return last
    }

    private static func reading() -> String {
        let descriptor = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    /// The mount points of a `mountinfo`, in order of mounting.
    static func points(in mountinfo: String) -> [String] {
        mountinfo.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            // The kernel writes a space within a path as an octal escape.
            return fields.count > 4 ? fields[4].replacingOccurrences(of: "\\040", with: " ") : nil
        }
    }
}
