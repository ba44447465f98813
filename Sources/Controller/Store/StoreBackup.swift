import BasculeCrypto
import BasculeModel
import Foundation
import GRDB

extension Store {
    /// The fleet's recovery key (hexadecimal, 32 bytes): opens the backups. Made once.
    package func recoveryKey() throws -> Secret {
        try generatedSecret("bascule.recovery-key", make: { Hex.encode(RandomBytes.make(SecretStream.keySize)) })
    }

    /// Makes another recovery key; backups from now on open with that one only.
    package func renewRecoveryKey() throws -> Secret {
        let fresh = Secret(Hex.encode(RandomBytes.make(SecretStream.keySize)))
        try setSecret("bascule.recovery-key", fresh, origin: "generated")
        return fresh
    }

    /// Stands for what a backup would hold that matters: it changes with runs, secrets, nodes and settings, and not with
    /// the mere counting of connections and backups.
    package func fingerprint() throws -> Digest {
        try read { database in
            let lines = try String.fetchAll(
                database,
                sql: """
                    SELECT id || ' ' || COALESCE(outcome, '') FROM run
                    UNION ALL SELECT name || ' ' || changed FROM secret
                    UNION ALL SELECT name || ' ' || COALESCE(machine, '') || host_keys FROM node
                    UNION ALL SELECT name || ' ' || value FROM setting
                        WHERE name NOT LIKE 'serial/%' AND name NOT LIKE 'backup/%'
                    ORDER BY 1
                    """)
            return Digest(of: lines.joined(separator: "\n"))
        }
    }

    /// Writes an encrypted copy of the whole store, its key included, to a new file (mode 0600).
    package func backUp(to target: String) throws {
        guard let key = Hex.decode(try recoveryKey().reveal()) else {
            throw BasculeError(.storeDamaged, "the recovery key in the store is not hexadecimal")
        }
        let plain = "\(target).plain"
        defer { unlink(plain) }
        unlink(plain)
        // SQLite copies itself into a new file; its pages hold secrets only in their encrypted form.
        _ = Foundation.close(open(plain, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
        do { try database.vacuum(into: plain) } catch {
            throw BasculeError.wrapping(error, code: .inputOutput, "the store could not be copied")
        }
        var head = Array("\(StoreArchive.mark)\n\(Hex.encode(vault.keyBytes))\n".utf8)
        let source = try FileHandle(forReadingFrom: URL(fileURLWithPath: plain))
        defer { try? source.close() }
        let out = try StoreArchive.create(target)
        defer { try? out.close() }
        try SecretStream.seal(
            key: key,
            read: { count in
                var bytes = Array(head.prefix(count))
                head.removeFirst(bytes.count)
                if bytes.count < count { bytes += try source.read(upToCount: count - bytes.count) ?? Data() }
                return bytes
            }, write: { try out.write(contentsOf: $0) })
        try out.synchronize()
    }

    /// Ends the use of the store's file: what was written is in it, and nothing lies beside it.
    package func close() throws {
        do {
            try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            try database.close()
        } catch { throw BasculeError.wrapping(error, code: .inputOutput, "the store \(path) could not be closed") }
    }
}

/// A store in its encrypted form.
package enum StoreArchive {
    static let mark = "bascule store 1"

    /// Opens a backup into a folder that is there: `NAME.db` and `NAME.key`, complete or not at all. Throws
    /// `cannot-decrypt` where the key is another one.
    package static func open(_ archive: [UInt8], recoveryKey: Secret, into folder: String, name: String) throws
        -> String
    {
        guard let key = Hex.decode(recoveryKey.reveal()), key.count == SecretStream.keySize else {
            throw BasculeError(.invalidInput, "the recovery key is not \(SecretStream.keySize * 2) hexadecimal digits")
        }
        let path = "\(folder)/\(name).db"
        do {
            let out = try create(path)
            defer { try? out.close() }
            var offset = 0
            var head: [UInt8]? = []
            try SecretStream.open(
                key: key,
                read: { count in
                    let piece = archive[offset..<min(archive.count, offset + count)]
                    offset += piece.count
                    return Array(piece)
                },
                write: { bytes in
                    guard var collected = head else { return try out.write(contentsOf: bytes) }
                    collected += bytes
                    head = collected
                    let lines = collected.split(separator: 10, maxSplits: 2, omittingEmptySubsequences: false)
                    guard lines.count == 3 else { return }
                    guard String(decoding: lines[0], as: UTF8.self) == mark else {
                        throw BasculeError(.storeDamaged, "this is no backup of a store of Bascule's")
                    }
                    let keyFile = try create("\(folder)/\(name).key")
                    try keyFile.write(contentsOf: Array(lines[1]) + [10])
                    try keyFile.synchronize()
                    try keyFile.close()
                    try out.write(contentsOf: Array(lines[2]))
                    head = nil
                })
            try out.synchronize()
            guard head == nil else { throw BasculeError(.storeDamaged, "this is no backup of a store of Bascule's") }
        } catch {
            unlink(path)
            unlink("\(folder)/\(name).key")
            throw BasculeError.wrapping(error, code: .inputOutput, "the backup could not be opened")
        }
        return path
    }

    /// A new file that only its owner reads.
    static func create(_ path: String) throws -> FileHandle {
        unlink(path)
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw BasculeError(
                .inputOutput, "\(path) could not be made", cause: String(cString: strerror(errno)),
                hint: "is there space, and is the directory writable?")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
}

extension Store {
    /// What an adoption changes, all of it or nothing: the epoch, and the keys that the nodes obey from then on. The
    /// fleet's former key is kept, because throwaway nodes know root by it.
    package func adopt(epoch: Int, fleetKey: (secret: Secret, publicLine: String), signingKey: SigningKeyPair) throws {
        let formers = try formerFleetKeys()
        let former = try secret("bascule.fleet-key")
        let kept = ([former?.reveal()].compactMap { $0 } + formers.map { $0.reveal() }).prefix(4)
        let secrets: [(String, String)] = [
            ("bascule.fleet-key", fleetKey.secret.reveal()),
            ("bascule.fleet-key.former", kept.joined(separator: "\u{0}")),
            ("bascule.signing-key", Hex.encode(signingKey.secretKey)),
        ]
        let settings = [
            ("epoch", "\(epoch)"), ("fleet-key.public", fleetKey.publicLine),
            ("signing-key.public", Hex.encode(signingKey.publicKey)),
        ]
        try write("adopt") { database in
            for (name, value) in secrets {
                try database.execute(
                    sql: """
                        INSERT INTO secret VALUES (?, ?, 'generated', ?)
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed = excluded.changed
                        """,
                    arguments: [name, Data(vault.box.seal(Array(value.utf8))), Date().timeIntervalSince1970])
            }
            for (name, value) in settings {
                try database.execute(
                    sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    arguments: [name, value])
            }
            try Store.endRotation(database)
        }
    }

    /// Keys that the fleet had before adoptions and rotations, newest first.
    package func formerFleetKeys() throws -> [Secret] {
        try secret("bascule.fleet-key.former")?.reveal().split(separator: "\u{0}").map { Secret(String($0)) } ?? []
    }
}
