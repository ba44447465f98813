import BasculeCrypto
import BasculeModel
import Foundation

/// The key that opens the store's secrets. It lies beside the store in a file of its own (mode 0600), never in it: a
/// copied store alone is unreadable. `BASCULE_STORE_KEY` (64 hexadecimal digits) replaces the file.
struct Vault: Sendable {
    let box: SecretBox

    init(beside path: String, isNew: Bool) throws {
        let keyPath = (path as NSString).deletingPathExtension + ".key"
        if let given = ProcessInfo.processInfo.environment["BASCULE_STORE_KEY"] {
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
            throw BasculeError(.storeKey, "the store's key \(keyPath) is missing", hint: "restore it; without it the secrets cannot be read")
        }
        let key = RandomBytes.make(32)
        let descriptor = open(keyPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        let line = Array((Hex.encode(key) + "\n").utf8)
        guard descriptor >= 0, Foundation.write(descriptor, line, line.count) == line.count, fsync(descriptor) == 0 else {
            throw BasculeError(.inputOutput, "the store's key \(keyPath) could not be written", cause: String(cString: strerror(errno)))
        }
        close(descriptor)
        box = try SecretBox(key: key)
    }
}
