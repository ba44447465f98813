import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Testing

@testable import BasculeAgentCore

@Suite struct BackupKeeperTests {
    private static let digest = Digest(of: "x")

    private func backup(_ number: Int, day: Double) -> BackupInfo {
        BackupInfo(number: number, time: day * 86_400, digest: Self.digest, size: 1)
    }

    @Test func theNewestThreeAndOneOfEachOfSevenDaysStay() {
        // Four a day for ten days, the newest first.
        let all = (0..<40).map { backup(40 - $0, day: 100 - Double($0) / 4) }
        let gone = Set(BackupKeeper.surplus(of: all).map(\.number))
        let kept = all.map(\.number).filter { !gone.contains($0) }
        #expect(kept == [40, 39, 38, 35, 31, 27, 23, 19])
        #expect(BackupKeeper.surplus(of: Array(all.prefix(3))).isEmpty)
        #expect(BackupKeeper.surplus(of: []).isEmpty)
    }

    @Test func anUploadIsTakenIntoKeepingAndOldOnesGo() throws {
        let folder = try Folder()
        let paths = AgentPaths(state: folder.path, runtime: folder.path)
        try DurableFile.makeDirectory(paths.blobs)
        try DurableFile.makeDirectory(paths.backups)
        let keeper = BackupKeeper(paths: paths)
        for number in 1...6 {
            let bytes = Array("backup \(number)".utf8)
            try DurableFile.write(bytes, to: "\(paths.blobs)/\(Digest(of: bytes).rawValue)")
            try keeper.keep(Digest(of: bytes), number: number, now: 1_000_000 + Double(number))
        }
        #expect(try keeper.list().map(\.number) == [6, 5, 4])
        #expect(try keeper.list().first?.digest == Digest(of: "backup 6"))
        #expect(code { try keeper.keep("../../etc/passwd", number: 7, now: 1) } == .invalidInput)
        #expect(code { try keeper.keep(Digest(of: "gone"), number: 7, now: 1) } != nil)
        #expect(try keeper.list().count == 3)
    }
}
