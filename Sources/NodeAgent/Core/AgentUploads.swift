import BasculeCrypto
import BasculeExecution
import BasculeModel
import BasculeProtocol
import Glibc

/// The uploads that one connection is sending: each is written beside its final name and renamed when it is whole.
struct AgentUploads {
    private struct Upload {
        var digest: Digest
        var size: Int
        var descriptor: Int32
        var path: String
        var received = 0
        var hasher = Hasher()
    }

    /// SHA-256 is not copyable; a reference holds it.
    private final class Hasher {
        var state: SHA256? = SHA256()
        func update(_ bytes: [UInt8]) { state?.update(bytes) }
        func finish() -> [UInt8] { state.take()?.finalizing() ?? [] }
    }

    let folder: String
    /// Tells the files of two connections apart that upload the same: one may be cut and served for a while still.
    private let connection = connections.next()
    private static let connections = Counter()
    private var uploads: [UInt32: Upload] = [:]

    init(folder: String) { self.folder = folder }

    /// Begins an upload under a request's id.
    mutating func begin(_ digest: Digest, size: Int, id: UInt32) throws {
        guard Hex.decode(digest.rawValue)?.count == 32, size >= 0, size <= 4 << 30, uploads.count < 8,
            uploads[id] == nil
        else { throw BasculeError(.invalidInput, "the announced upload is not acceptable") }
        let path = "\(folder)/.\(digest.rawValue).\(connection).\(id).part"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw DurableFile.failure("create", path) }
        uploads[id] = Upload(digest: digest, size: size, descriptor: file, path: path)
    }

    /// Takes a chunk; an empty one ends the upload. Gives the answer once there is one.
    mutating func receive(_ frame: Frame) -> Reply? {
        guard var upload = uploads.removeValue(forKey: frame.id) else { return nil }
        do {
            guard !frame.body.isEmpty else {
                try finish(upload)
                return .accepted
            }
            upload.received += frame.body.count
            guard upload.received <= upload.size else {
                throw BasculeError(.uploadDamaged, "an upload is longer than announced")
            }
            upload.hasher.update(frame.body)
            try DurableFile.writeAll(frame.body, to: upload.descriptor, path: upload.path)
            uploads[frame.id] = upload
            return nil
        } catch {
            close(upload.descriptor)
            unlink(upload.path)
            return .refused(BasculeError.wrapping(error, "the upload could not be written"))
        }
    }

    private func finish(_ upload: Upload) throws {
        let actual = Digest(rawValue: Hex.encode(upload.hasher.finish()))
        guard upload.received == upload.size, actual == upload.digest, fsync(upload.descriptor) == 0 else {
            throw BasculeError(
                .uploadDamaged, "an upload arrived damaged or cut: \(upload.received) of \(upload.size) bytes",
                hint: "run the same command again")
        }
        Failpoint.hit("agent.upload.rename.before")
        // setpriv'd children (an app's user unpacking its own release) read it through a descriptor of root's.
        guard rename(upload.path, "\(folder)/\(upload.digest.rawValue)") == 0 else {
            throw DurableFile.failure("rename", upload.path)
        }
        Failpoint.hit("agent.upload.rename.after")
        try DurableFile.syncDirectory(of: upload.path)
        close(upload.descriptor)
    }

    /// The connection ended: what is not whole goes.
    mutating func abandonAll() {
        for upload in uploads.values {
            close(upload.descriptor)
            unlink(upload.path)
        }
        uploads = [:]
    }
}

extension SHA256 {
    /// Ends the hash and gives its bytes.
    consuming func finalizing() -> [UInt8] { finalize() }
}

extension ErrorCode {
    /// An upload's size or digest is not what was announced.
    package static let uploadDamaged: ErrorCode = "upload-damaged"
}
