import BasculeCrypto
import BasculeModel
import Foundation

/// The key that opens the store's secrets. It lies beside the store in a file of its own (mode 0600), never in it: a
/// copied store alone is unreadable. `BASCULE_STORE_KEY` (64 hexadecimal digits) replaces the file.
struct Vault: Sendable {
    let box: SecretBox
    /// Goes into encrypted backups, and nowhere else.
    let keyBytes: [UInt8]

    private static func keyPath(_ path: String) -> String { (path as NSString).deletingPathExtension + ".key" }
    private static var given: String? { ProcessInfo.processInfo.environment["BASCULE_STORE_KEY"] }

    /// Whether a key is there already.
    static func hasKey(beside path: String) -> Bool {
        given != nil || FileManager.default.fileExists(atPath: keyPath(path))
    }

    /// Throws `store-key` where this is not the key that sealed a value of the store.
    func check(opens sealed: [UInt8], of path: String) throws {
        do { _ = try box.open(sealed) } catch {
            throw BasculeError(
                .storeKey, "the key does not open the secrets of the store \(path)",
                hint: "restore the store's own key; the recovery kit has it")
        }
    }

    init(beside path: String, isNew: Bool) throws {
        let keyPath = Self.keyPath(path)
        if let given = Self.given {
            guard let key = Hex.decode(given), key.count == 32 else {
                throw BasculeError(.storeKey, "BASCULE_STORE_KEY is not 64 hexadecimal digits")
            }
            (box, keyBytes) = (try SecretBox(key: key), key)
            return
        }
        if let text = try? String(contentsOfFile: keyPath, encoding: .utf8) {
            guard let key = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)), key.count == 32 else {
                throw BasculeError(.storeKey, "\(keyPath) is not a store key", hint: "restore it from the recovery kit")
            }
            (box, keyBytes) = (try SecretBox(key: key), key)
            return
        }
        guard isNew else {
            throw BasculeError(
                .storeKey, "the store's key \(keyPath) is missing",
                hint: "restore it; without it the secrets cannot be read")
        }
        let key = RandomBytes.make(32)
        guard try Self.create(keyPath, Array((Hex.encode(key) + "\n").utf8)) else {
            // Another first start at the same moment was faster: its key is the store's.
            self = try Vault(beside: path, isNew: false)
            return
        }
        (box, keyBytes) = (try SecretBox(key: key), key)
    }

    /// Makes a file that is whole or not there, and never replaces one; false where one is there already.
    private static func create(_ path: String, _ bytes: [UInt8]) throws -> Bool {
        func failure() -> BasculeError {
            BasculeError(
                errno == ENOSPC ? .storeFull : .inputOutput, "the store's key \(path) could not be written",
                cause: String(cString: strerror(errno)))
        }
        let temporary = "\(path).\(getpid())"
        Failpoint.hit("controller.key.write.before")
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure() }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        guard Foundation.write(descriptor, bytes, bytes.count) == bytes.count else { throw failure() }
        Failpoint.hit("controller.key.fsync.before")
        guard fsync(descriptor) == 0 else { throw failure() }
        Failpoint.hit("controller.key.link.before")
        guard link(temporary, path) == 0 else {
            if errno == EEXIST { return false }
            throw failure()
        }
        Failpoint.hit("controller.key.link.after")
        let directory = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure() }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure() }
        return true
    }
}
