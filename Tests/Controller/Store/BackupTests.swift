import BasculeCrypto
import BasculeModel
import Foundation
import Testing

@testable import BasculeStore

@Suite struct BackupTests {
    let folder: StoreFolder
    init() throws { folder = try StoreFolder() }

    private func archive(_ store: Store) throws -> [UInt8] {
        let path = folder.directory + "/backup"
        try store.backUp(to: path)
        defer { unlink(path) }
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func elsewhere() throws -> String {
        let path = folder.directory + "/\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        return path
    }

    /// Fault 51, of a backup: nothing of it is readable, and with its key all of it comes back.
    @Test func aBackupIsUnreadableAndComesBackWhole() throws {
        let store = try folder.open()
        try store.setSecret("shop", Secret("canary-77a1"))
        try store.set("color", to: "canary-plain")
        // More than one piece of the stream.
        try store.set("big", to: String(repeating: "0123456789abcdef", count: 150_000))
        let bytes = try archive(store)
        #expect(bytes.count > 2 << 20)
        for text in ["canary", "SQLite format", "CREATE TABLE", "bascule store"] {
            #expect(Data(bytes).range(of: Data(text.utf8)) == nil, "\(text)")
        }
        let place = try elsewhere()
        let path = try StoreArchive.open(bytes, recoveryKey: try store.recoveryKey(), into: place, name: "shop")
        let restored = try Store(path: path)
        try restored.check()
        #expect(try restored.secret("shop")?.reveal() == "canary-77a1")
        #expect(try restored.setting("color") == "canary-plain")
        #expect(try restored.setting("big")?.utf8.count == 2_400_000)
        try restored.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: place).sorted() == ["shop.db", "shop.key"])
        for name in ["shop.db", "shop.key"] {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(place)/\(name)")[.posixPermissions] as? Int
            #expect(mode.map { $0 & 0o077 } == 0)
        }
    }

    @Test func whatIsDamagedCutOrAnothersLeavesNothing() throws {
        let store = try folder.open()
        let good = try archive(store)
        let key = try store.recoveryKey()
        let place = try elsewhere()
        var flipped = good
        flipped[good.count / 2] ^= 1
        let bad: [([UInt8], Secret)] = [
            (flipped, key), (Array(good.dropLast()), key), (Array(good.prefix(100)), key), ([], key), (good + [0], key),
            (good, Secret(String(repeating: "00", count: 32))),
        ]
        for (bytes, key) in bad {
            #expect(code { try StoreArchive.open(bytes, recoveryKey: key, into: place, name: "x") } == .cannotDecrypt)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place).isEmpty)
        }
        #expect(
            code { try StoreArchive.open(good, recoveryKey: Secret("abc"), into: place, name: "x") } == .invalidInput)
    }

    @Test func aRenewedKeyOpensNoOlderBackup() throws {
        let store = try folder.open()
        let (old, before) = (try store.recoveryKey(), try archive(store))
        let fresh = try store.renewRecoveryKey()
        let after = try archive(store)
        #expect(fresh != old)
        let place = try elsewhere()
        #expect(code { try StoreArchive.open(before, recoveryKey: fresh, into: place, name: "x") } == .cannotDecrypt)
        #expect(code { try StoreArchive.open(after, recoveryKey: old, into: place, name: "x") } == .cannotDecrypt)
        #expect(code { try StoreArchive.open(after, recoveryKey: fresh, into: place, name: "x") } == nil)
    }

    @Test func theFingerprintFollowsWhatMatters() throws {
        let store = try folder.open()
        let first = try store.fingerprint()
        try store.set("backup/time", to: "5")
        _ = try store.nextSerial(of: "vps1", seen: 0)
        #expect(try store.fingerprint() == first)
        try store.setSecret("s", Secret("x"))
        let second = try store.fingerprint()
        #expect(second != first)
        var node = NodeRecord(name: "vps1")
        node.machine = "m"
        try store.save(node)
        #expect(try store.fingerprint() != second)
    }

    /// Fault 8, at its root: a store that is behind gives no number, and does not catch up by being asked.
    @Test func anOldStoreGivesNoSerialHoweverOftenItIsAsked() throws {
        let store = try folder.open()
        #expect(try (0..<3).map { _ in try store.nextSerial(of: "a", seen: 0) } == [1, 2, 3])
        for _ in 0..<5 { #expect(code { try store.nextSerial(of: "a", seen: 5) } == "stale-serial") }
        #expect(try store.serial(of: "a") == 3)
        #expect(try store.nextSerial(of: "b", seen: 0) == 1, "nodes are counted one by one")
        #expect(code { try store.requireSerial(of: "a", atLeast: 4) } == "stale-serial")
        try store.raiseSerial(of: "a", to: 9)
        try store.raiseSerial(of: "a", to: 4)
        #expect(try store.nextSerial(of: "a", seen: 9) == 10)
    }

    @Test func anAdoptionChangesAllOfItsKeysAndKeepsTheFormer() throws {
        let store = try folder.open()
        try store.setSecret("bascule.fleet-key", Secret("one"))
        for (epoch, key) in [(2, "two"), (3, "three")] {
            try store.adopt(
                epoch: epoch, fleetKey: (Secret(key), "ssh-ed25519 \(key)"), signingKey: try SigningKeyPair())
            #expect(try store.setting("epoch") == "\(epoch)")
            #expect(try store.secret("bascule.fleet-key")?.reveal() == key)
            #expect(try store.setting("fleet-key.public") == "ssh-ed25519 \(key)")
        }
        #expect(try store.formerFleetKeys().map { $0.reveal() } == ["two", "one"])
    }
}
