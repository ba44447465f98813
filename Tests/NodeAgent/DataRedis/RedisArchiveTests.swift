import BasculeModel
import Foundation
import Synchronization
import Testing

@testable import BasculeData

/// The archive of a Redis source as it was before a cutover.
@Suite(.enabled(if: RedisFixture.isInstalled, "redis-server is not installed"), .serialized)
struct RedisArchiveTests {
    /// Read back with redis-cli and nothing else, every key is there with its value and its expiry.
    @Test func everyKeyComesBack() throws {
        let pair = try RedisPairFixture()
        try pair.fill()
        let folder = URL.temporaryDirectory.appending(path: "bascule-kept-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var task = ArchiveTask(name: "cache", source: .redis(pair.move), folder: folder, isFenced: true)
        let url = Secret(pair.source.url)
        let report = try Archiver.run(task, resolve: { _ in url })
        #expect(report.faults.isEmpty && report.count > 1500, "\(report)")
        let restore = "redis-cli -p \(pair.target.port) --pipe < '\(folder)/keys.resp'"
        #expect(try FilesCommand(program: "sh", arguments: ["-c", restore]).run { _ in }.status == 0)
        let verified = try pair.run(RedisTask.verify)
        #expect(verified.isEqual && verified.keysEqual == Int(report.count), "\(verified.differences)")
        // Of a source that nobody writes to any more every key must be in it. Here somebody does, after the first page.
        try pair.source.run("PERSIST session")
        let source = pair.source
        let written = Atomic(false)
        let off = try Archiver.run(
            task, resolve: { _ in url },
            progress: { _ in
                guard !written.exchange(true, ordering: .relaxed), let client = try? source.client() else { return }
                _ = try? client.send((0..<2000).map { RedisCommand("SET", "late:\($0)", "x") })
            })
        #expect(off.faults.count == 1 && off.faults[0].contains(" keys of "), "\(off)")
        #expect(FileManager.default.fileExists(atPath: folder + "/keys.resp"), "the earlier one stays")
        #expect(!FileManager.default.fileExists(atPath: folder + ".partial"))
        task.isFenced = false
        #expect(try Archiver.run(task, resolve: { _ in url }).faults.isEmpty)
    }
}
