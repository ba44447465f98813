import BasculeCrypto
import BasculeModel
import Foundation
import Testing

@testable import BasculeStore

@Suite struct SafetyTests {
    let folder: StoreFolder
    init() throws { folder = try StoreFolder() }
    private var keyPath: String { folder.directory + "/girlycrea.key" }

    private func fill() throws {
        let store = try folder.open()
        try store.setSecret("db/shop", Secret("canary-5e7c91-canary"))
        for index in 0..<200 { try store.save(plan(PlanID("p\(index)"))) }
    }

    @Test func secretsComeBackAndAreInNoFile() throws {
        try fill()
        do {
            let store = try folder.open()
            #expect(try store.secret("db/shop")?.reveal() == "canary-5e7c91-canary")
            #expect(try store.secret("nobody") == nil)
            #expect(try store.secrets().map(\.name) == ["db/shop"])
        }
        for (name, data) in try folder.bytes() {
            #expect(data.range(of: Data("canary-5e7c91".utf8)) == nil, "\(name) holds a secret")
            #expect(data.range(of: Data(Data("canary-5e7c91".utf8).base64EncodedString().utf8)) == nil)
        }
        let database = try #require(try folder.bytes()["girlycrea.db"])
        #expect(database.range(of: Data("db/shop".utf8)) != nil, "the scan would not find anything")
        let mode = try FileManager.default.attributesOfItem(atPath: keyPath)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func aGeneratedSecretIsMadeOnceAndARemovedOneIsGone() throws {
        let store = try folder.open()
        #expect(try store.generatedSecret("g") { "one" }.reveal() == "one")
        #expect(try store.generatedSecret("g") { "two" }.reveal() == "one")
        try store.setSecret("g", Secret("three"))
        #expect(try store.generatedSecret("g") { "four" }.reveal() == "three")
        #expect(try store.secrets().map(\.origin) == ["set"])
        try store.removeSecrets(["g"])
        #expect(try store.secret("g") == nil)
    }

    @Test func anotherKeyIsRefusedBeforeItSealsAnything() throws {
        try fill()
        try Data((Hex.encode(RandomBytes.make(32)) + "\n").utf8).write(to: URL(fileURLWithPath: keyPath))
        #expect(code { try folder.open() } == .storeKey)
    }

    @Test(arguments: ["", "hello", String(repeating: "0", count: 62)]) func whatIsNoKeyIsRefused(text: String) throws {
        try fill()
        try Data(text.utf8).write(to: URL(fileURLWithPath: keyPath))
        #expect(code { try folder.open() } == .storeKey)
    }

    @Test func aMissingKeyIsRefusedAndNotReplaced() throws {
        try fill()
        try FileManager.default.removeItem(atPath: keyPath)
        #expect(code { try folder.open() } == .storeKey)
        #expect(!FileManager.default.fileExists(atPath: keyPath))
    }

    /// Killed between the store's making and its key's: nothing is lost, so the next start goes on.
    @Test func aStoreWithoutSecretsGetsItsKeyLate() throws {
        do { _ = try folder.open() }
        try FileManager.default.removeItem(atPath: keyPath)
        try folder.open().setSecret("a", Secret("b"))
        #expect(try folder.open().secret("a")?.reveal() == "b")
    }

    @Test func aDamagedFileIsRefusedAndLeftAsItIs() throws {
        try fill()
        var data = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        data.replaceSubrange(0..<100, with: Data(repeating: 0x5A, count: 100))
        try data.write(to: URL(fileURLWithPath: folder.path))
        #expect(code { try folder.open() } == .storeDamaged)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path)) == data)
    }

    @Test func aFileThatIsNoStoreIsRefused() throws {
        try Data(String(repeating: "fleet: shop\n", count: 200).utf8).write(to: URL(fileURLWithPath: folder.path))
        #expect(code { try folder.open() } == .storeDamaged)
    }

    @Test(arguments: [0, 1, 2]) func aTruncatedFileIsRefusedAndNeverMadeAnew(part: Int) throws {
        try fill()
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        let cut = data.prefix(data.count * part / 3)
        try cut.write(to: URL(fileURLWithPath: folder.path))
        let found = code { try folder.open().check() }
        #expect(found == .storeDamaged, "cut to \(cut.count) bytes: \(found.map { "\($0)" } ?? "accepted")")
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path)).count == cut.count)
    }

    @Test func damageInsideIsFoundByTheCheck() throws {
        try fill()
        var data = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        // Every page but the first two: some hold rows, some an index.
        for page in stride(from: 4096 * 2, to: data.count - 64, by: 4096) {
            data.replaceSubrange(page..<(page + 64), with: Data(repeating: 0xFF, count: 64))
        }
        try data.write(to: URL(fileURLWithPath: folder.path))
        #expect(code { try folder.open().check() } == .storeDamaged)
    }

    @Test func aSecondHolderFailsAtOnceAndNamesTheFirst() throws {
        do {
            let first = try StoreLease(beside: folder.path)
            #expect(first.holder.contains("pid \(getpid())"))
            let start = Date()
            let error = #expect(throws: BasculeError.self) { try StoreLease(beside: folder.path) }
            #expect(error?.code == .storeBusy)
            #expect(error?.message.contains(first.holder) == true)
            #expect(Date().timeIntervalSince(start) < 1)
        }
        _ = try StoreLease(beside: folder.path)
    }

    @Test func anotherProcessHoldsItUntilItIsKilled() throws {
        let lock = folder.path + ".lock"
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        holder.arguments = [
            "--exclusive", "--no-fork", lock, "sh", "-c", "echo 'alice@laptop pid 4711' > \"$0\"; exec sleep 60", lock,
        ]
        try holder.run()
        defer { if holder.isRunning { kill(holder.processIdentifier, SIGKILL) } }
        for _ in 0..<400 where (try? String(contentsOfFile: lock, encoding: .utf8))?.contains("alice") != true {
            usleep(10_000)
        }
        let error = #expect(throws: BasculeError.self) { try StoreLease(beside: folder.path) }
        #expect(error?.message.contains("alice@laptop pid 4711") == true)
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
        _ = try StoreLease(beside: folder.path)
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func aFullDiskIsSaidAndNothingIsLost() throws {
        let disk = folder.directory + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        guard mount("tmpfs", disk, "tmpfs", 0, "size=8m") == 0 else { return #expect(Bool(false), "no tmpfs") }
        defer { umount2(disk, Int32(MNT_DETACH)) }
        let store = try Store(path: disk + "/f.db")
        try store.set("kept", to: "yes")
        let long = String(repeating: "x", count: 300_000)
        var failure: ErrorCode?
        var written = 0
        while failure == nil, written < 100 {
            failure = code { try store.set("v\(written)", to: long) }
            if failure == nil { written += 1 }
        }
        #expect(failure == .storeFull, "after \(written) values")
        #expect(written > 1)
        #expect(try store.setting("kept") == "yes")
        #expect(try (0..<written).allSatisfy { try store.setting("v\($0)")?.count == 300_000 })
        try store.check()
    }
}
