import BasculeCrypto
import BasculeModel
import Foundation

/// The key that opens the store's secrets. It lies beside the store in a file of its own (mode 0600), never in it: a
/// copied store alone is unreadable. `BASCULE_STORE_KEY` (64 hexadecimal digits) replaces the file.
struct Vault: Sendable {
    let box: SecretBox

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
            box = try SecretBox(key: key)
            return
        }
        if let text = try? String(contentsOfFile: keyPath, encoding: .utf8) {
            guard let key = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)), key.count == 32 else {
                throw BasculeError(.storeKey, "\(keyPath) is not a store key", hint: "restore it from the recovery kit")
            }
            box = try SecretBox(key: key)
            return
        }
        guard isNew else {
            throw BasculeError(
                .storeKey, "the store's key \(keyPath) is missing",
                hint: "restore it; without it the secrets cannot be read")
        }
        let key = RandomBytes.make(32)
        let descriptor = open(keyPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        let line = Array((Hex.encode(key) + "\n").utf8)
        guard descriptor >= 0, Foundation.write(descriptor, line, line.count) == line.count, fsync(descriptor) == 0
        else {
            throw BasculeError(
                .inputOutput, "the store's key \(keyPath) could not be written", cause: String(cString: strerror(errno))
            )
        }
        close(descriptor)
        box = try SecretBox(key: key)
    }
}
