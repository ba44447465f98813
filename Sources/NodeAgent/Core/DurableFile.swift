import BasculeModel
import BasculeResources
import FoundationEssentials
import Glibc

/// Small files of the agent's own state: wholly old or wholly new after a power cut.
package enum DurableFile {
    /// Writes to a temporary name, flushes, renames, flushes the directory.
    /// - Parameter kind: names the failpoints of a file whose own name is no constant.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600, kind: String? = nil) throws {
        func pass(_ moment: String) {
            Failpoint.hit("agent.file.\(kind ?? String(path[lastName(of: path)...])).\(moment)")
        }
        let temporary = "\(path).new"
        pass("write.before")
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        do {
            defer { close(descriptor) }
            try writeAll(bytes, to: descriptor, path: temporary)
            pass("fsync.before")
            guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0 else { throw failure("flush", temporary) }
        } catch {
            unlink(temporary)
            throw error
        }
        pass("rename.before")
        guard rename(temporary, path) == 0 else {
            let failed = failure("rename", temporary)
            unlink(temporary)
            throw failed
        }
        pass("rename.after")
        try syncDirectory(of: path)
        pass("sync.after")
    }

    private static func lastName(of path: String) -> String.Index {
        path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    }

    /// Writes every byte, however often the kernel takes only some.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            done += count
        }
    }

    /// The file's bytes, nil where there is none.
    package static func read(_ path: String) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return out }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            out.append(contentsOf: buffer[..<count])
        }
    }

    /// Makes the directory and its parents, root only.
    package static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws {
        var partial = ""
        for component in path.split(separator: "/") {
            partial += "/\(component)"
            if mkdir(partial, partial == path ? mode : 0o755) != 0, errno != EEXIST {
                throw failure("create directory", partial)
            }
        }
    }

    /// Flushes the directory in which `path` stands, so that a rename survives a power cut.
    package static func syncDirectory(of path: String) throws {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", parent) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("flush", parent) }
    }

    /// The value of a JSON file, nil where there is no file.
    package static func load<T: Decodable>(_ type: T.Type, from path: String) throws -> T? {
        guard let bytes = try read(path) else { return nil }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw BasculeError(
                .inputOutput, "the agent's own file \(path) cannot be understood", cause: "\(error)",
                hint: "restore it from a snapshot, or bootstrap the node again")
        }
    }

    /// Saves a value as JSON.
    package static func save(_ value: some Encodable, to path: String, mode: mode_t = 0o600, kind: String? = nil) throws
    {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(Array(encoder.encode(value)), to: path, mode: mode, kind: kind)
    }

    /// An error with the system's own word for `errno`.
    static func failure(_ verb: String, _ path: String) -> BasculeError {
        let code = errno
        return BasculeError(
            DiskTrouble.code(code), "could not \(verb) \(path)", cause: String(cString: strerror(code)),
            hint: DiskTrouble.hint(code))
    }
}
