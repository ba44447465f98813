import BasculeCrypto
import BasculeModel
import Glibc
import Testing

@testable import BasculeResources

@Suite struct RecordTests {
    @Test func aChangedFileIsPendingUntilItIsAsNoted() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a.conf"
        try AtomicFile.write(path, Array("1".utf8), Permissions(mode: 0o644))
        let noted = try UnitRecord.digests([path], shop.context)
        #expect(try !UnitRecord.isPending([path], known: noted, since: 0, shop.context))
        try AtomicFile.write(path, Array("2".utf8), Permissions(mode: 0o644))
        #expect(try UnitRecord.isPending([path], known: noted, since: .max, shop.context))
        try AtomicFile.write(path, Array("1".utf8), Permissions(mode: 0o644))
        #expect(try !UnitRecord.isPending([path], known: noted, since: 0, shop.context))
        try ParentDirectory.find(path)?.remove()
        #expect(try UnitRecord.isPending([path], known: noted, since: .max, shop.context))
    }

    /// Broken, reloaded by hand, put back: the unit runs with what was broken. Without the reload it does not.
    @Test func whatWasReloadedByHandInBetweenIsReadAgain() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a.conf"
        func write(_ text: String) throws {
            usleep(10_000)
            try AtomicFile.write(path, Array(text.utf8), Permissions(mode: 0o644))
        }
        try write("1")
        var status = UnitStatus.unknown
        status.stateChanged = 1
        let record = UnitRecord(status, restart: [:], reload: try UnitRecord.digests([path], shop.context))
        #expect(!record.mayHaveReadOthers([path], status))
        try write("2")
        try write("1")
        #expect(!record.mayHaveReadOthers([path], status))
        status.stateChanged = 2
        #expect(record.mayHaveReadOthers([path], status))
        // A reload alone, as logrotate does one every night, has read what is there.
        let later = UnitRecord(status, restart: [:], reload: try UnitRecord.digests([path], shop.context))
        status.stateChanged = 3
        #expect(!later.mayHaveReadOthers([path], status))
    }

    @Test func withoutARecordTimesDecide() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a.conf"
        try AtomicFile.write(path, [], Permissions(mode: 0o644))
        #expect(try UnitRecord.isPending([path], known: nil, since: 0, shop.context))
        #expect(try !UnitRecord.isPending([path], known: nil, since: .max, shop.context))
        // A path that was not on the list when the record was made.
        #expect(try UnitRecord.isPending([path], known: [:], since: 0, shop.context))
        #expect(try !UnitRecord.isPending(["\(shop.path)/none"], known: nil, since: 0, shop.context))
    }

    @Test func aDirectoryStandsForItsFiles() throws {
        let shop = try Workshop()
        let directory = "\(shop.path)/conf.d"
        try AtomicFile.write("\(directory)/a", [1], Permissions(mode: 0o644))
        let noted = try UnitRecord.digests([directory], shop.context)
        try AtomicFile.write("\(directory)/b", [], Permissions(mode: 0o644))
        #expect(try UnitRecord.isPending([directory], known: noted, since: .max, shop.context))
    }

    @Test(.enabled(if: geteuid() == 0)) func identityIsOneThreadsOwn() throws {
        let shop = try Workshop()
        chmod(shop.path, 0o755)
        try DirectoryKeeper.apply(DirectorySpec("\(shop.path)/d", permissions: Permissions(mode: 0o777)))
        try ThreadIdentity.acting(as: 65534) {
            #expect(geteuid() == 65534)
            close(open("\(shop.path)/d/theirs", O_CREAT | O_WRONLY, 0o644))
            // The C library's own call would have changed every thread.
            let others = (directoryNames("/proc/self/task") ?? []).compactMap {
                try? AtomicFile.read("/proc/self/task/\($0)/status")
            }
            .compactMap { $0 }.count { !String(decoding: $0, as: UTF8.self).contains("Uid:\t0\t0\t0\t0") }
            #expect(others == 1)
        }
        #expect(geteuid() == 0)
        var status = stat()
        #expect(stat("\(shop.path)/d/theirs", &status) == 0 && status.st_uid == 65534)
    }

    @Test func secretsStayOutOfBuildOutput() throws {
        let shop = try Workshop(secrets: ["token": "hunter22", "short": "ab"])
        let redactor = try Redactor(["token", "short"], shop.context)
        #expect(redactor.clean("using hunter22 for cabs") == "using ‹secret› for cabs")
        #expect(throws: BasculeError.self) { try Redactor(["unknown"], shop.context) }
    }

    @Test func capturesTravelAsJSON() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a"
        try AtomicFile.write(path, [1, 2], Permissions(mode: 0o644))
        let desired = DesiredResource(.file(FileSpec(path, "new")), on: "n", origin: "test")
        let capture = try ResourceKeeper.capture(desired, shop.context)
        let file = "\(shop.path)/capture.json"
        try StateFile.save(file, capture)
        #expect(StateFile.load(file, as: Capture.self) == capture)
    }

    /// Keeps a release's archive honest, from the blob to the running build.
    @Test(.enabled(if: geteuid() == 0)) func releaseIsBuiltAsItsUserAndOnlyOnce() throws {
        let shop = try Workshop(secrets: ["s": "it's \"secret\""])
        try AtomicFile.write("\(shop.path)/src/server.js", Array("1".utf8), Permissions(mode: 0o644))
        try Subprocess.require(["tar", "-C", "\(shop.path)/src", "-czf", "\(shop.path)/a.tgz", "."], "Packing")
        let bytes = try AtomicFile.read("\(shop.path)/a.tgz") ?? []
        var spec = ReleaseSpec(
            app: "shop", release: Digest(of: "one"), archive: .parts([]), build: ["id -un > who; test -e server.js"],
            buildEnv: [:], env: ["SECRET": .parts([.secret("s")])], user: "nobody", root: "\(shop.path)/apps/shop")
        let digest = Digest(of: bytes)
        spec.archive = .blob(digest, size: bytes.count)
        try AtomicFile.write("\(shop.path)/blobs/\(digest)", bytes, Permissions(mode: 0o600))
        chmod(shop.path, 0o755)
        #expect(try shop.converge(.release(spec)))
        #expect(try AtomicFile.read("\(spec.directory)/app/who") == Array("nobody\n".utf8))
        #expect(try AtomicFile.read("\(spec.directory)/env") == Array("SECRET=\"it's \\\"secret\\\"\"\n".utf8))
        spec.release = Digest(of: "two")
        spec.build = ["echo no space >&2; exit 3"]
        let error = #expect(throws: BasculeError.self) { try ReleaseKeeper.apply(spec, shop.context) }
        #expect(error?.code == .buildFailed && error?.cause == "no space")
        #expect(directoryNames("\(shop.path)/apps/shop/releases")?.count == 1)
    }
}
