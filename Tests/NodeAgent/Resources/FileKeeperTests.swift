import BasculeModel
import Glibc
import Testing

@testable import BasculeResources

@Suite struct FileKeeperTests {
    @Test func fileConvergesOnceThenHasNothingToDo() throws {
        let shop = try Workshop(secrets: ["pw": "hunter2"])
        let path = "\(shop.path)/deep/er/a.conf"
        let content = Content.parts([.text("password = "), .secret("pw"), .text("\n")])
        let spec = FileSpec(path, content, permissions: Permissions(owner: "nobody", group: "nogroup", mode: 0o4750))
        #expect(try shop.converge(.file(spec)))
        #expect(try AtomicFile.read(path) == Array("password = hunter2\n".utf8))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o4750 && status.st_uid == 65534)
        #expect(stat("\(shop.path)/deep", &status) == 0 && status.st_mode & 0o7777 == 0o755 && status.st_uid == 0)
        #expect(directoryNames("\(shop.path)/deep/er") == ["a.conf"])
    }

    @Test func digestsOverSecretsAreKeyed() throws {
        let shop = try Workshop(secrets: ["pw": "x"])
        let plain = try shop.context.digest(of: "x")
        #expect(try shop.context.digest(of: .parts([.secret("pw")])) != plain)
    }

    @Test func previewTextIsNotPartOfTheDigest() {
        let id: ResourceID = "n/file:/a"
        let digest = Digest(rawValue: "d")
        let seen = FileObserved(type: .file, digest: digest)
        var shown = seen
        shown.text = "text"
        #expect(Observation.make(id, .file(seen)).digest == Observation.make(id, .file(shown)).digest)
        #expect(
            Observation.make(id, .file(seen)).digest != Observation.make(id, .file(FileObserved(type: .file))).digest)
    }

    /// Other units' steps have systemd read its files again while this one's waits: no reason to refuse it.
    @Test func whatSystemdHasReadIsNotPartOfTheDigest() {
        let id: ResourceID = "n/unit:a.service"
        var seen = UnitObserved(load: "loaded", active: "active", unitFile: "enabled", needsDaemonReload: true)
        let before = Observation.make(id, .unit(seen)).digest
        (seen.load, seen.needsDaemonReload) = ("not-found", false)
        #expect(Observation.make(id, .unit(seen)).digest == before)
        seen.active = "inactive"
        #expect(Observation.make(id, .unit(seen)).digest != before)
    }

    @Test func sameSizeEditIsSeenAtOnce() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a"
        let spec = FileSpec(path, "one")
        #expect(try shop.converge(.file(spec)))
        try AtomicFile.write(path, Array("two".utf8), spec.permissions)
        guard case .change = shop.verdict(.file(spec)) else {
            Issue.record("the edit was missed")
            return
        }
    }

    @Test func linkInTheFilesPlaceIsReplacedNotFollowed() throws {
        let shop = try Workshop()
        try AtomicFile.write("\(shop.path)/victim", Array("keep".utf8), Permissions(mode: 0o600))
        #expect(symlink("victim", "\(shop.path)/a") == 0)
        #expect(try shop.converge(.file(FileSpec("\(shop.path)/a", "new"))))
        #expect(try AtomicFile.read("\(shop.path)/victim") == Array("keep".utf8))
    }

    @Test func plantedDirectoryLinkIsRefused() throws {
        let shop = try Workshop()
        try DirectoryKeeper.apply(
            DirectorySpec("\(shop.path)/home", permissions: Permissions(owner: "nobody", group: "nogroup", mode: 0o755))
        )
        try DirectoryKeeper.apply(DirectorySpec("\(shop.path)/etc"))
        // Even a link of root's own counts for nothing in a directory that somebody else owns.
        #expect(symlink("../etc", "\(shop.path)/home/conf") == 0)
        let spec = FileSpec("\(shop.path)/home/conf/a", "x")
        #expect(throws: BasculeError.self) { try FileKeeper.apply(spec, shop.context) }
        guard case .unobservable(let reason) = shop.observe(.file(spec)).observed else {
            Issue.record("the link was followed")
            return
        }
        #expect(reason.contains("symbolic link"))
        #expect(directoryNames("\(shop.path)/etc") == [])
    }

    @Test func rootsOwnDirectoryLinksAreFollowed() throws {
        let shop = try Workshop()
        try DirectoryKeeper.apply(DirectorySpec("\(shop.path)/real"))
        #expect(symlink("real", "\(shop.path)/link") == 0)
        #expect(try shop.converge(.file(FileSpec("\(shop.path)/link/a", "x"))))
        #expect(try AtomicFile.read("\(shop.path)/real/a") == [UInt8(ascii: "x")])
    }

    @Test func hardLinkIsNotChangedInPlace() throws {
        let shop = try Workshop()
        try AtomicFile.write("\(shop.path)/shadow", Array("x".utf8), Permissions(mode: 0o600))
        #expect(link("\(shop.path)/shadow", "\(shop.path)/a") == 0)
        #expect(try shop.converge(.file(FileSpec("\(shop.path)/a", "x", permissions: Permissions(mode: 0o666)))))
        var status = stat()
        #expect(stat("\(shop.path)/shadow", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func fullDiskLeavesTheOldFileWhole() throws {
        let shop = try Workshop()
        let disk = "\(shop.path)/disk"
        try DirectoryKeeper.apply(DirectorySpec(disk))
        try Subprocess.require(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], "Mounting")
        defer { _ = try? Subprocess.run(["umount", disk]) }
        #expect(try shop.converge(.file(FileSpec("\(disk)/a", "old"))))
        let large = FileSpec("\(disk)/a", Content(String(repeating: "x", count: 200_000)))
        let error = #expect(throws: BasculeError.self) { try FileKeeper.apply(large, shop.context) }
        #expect(error?.code == .diskFull)
        #expect(try AtomicFile.read("\(disk)/a") == Array("old".utf8))
        #expect(directoryNames(disk) == ["a"])
    }

    @Test func directoryLinkAndDeletionConverge() throws {
        let shop = try Workshop()
        let directory = "\(shop.path)/d"
        let mode = Permissions(owner: "nobody", group: "nogroup", mode: 0o2770)
        #expect(try shop.converge(.directory(DirectorySpec(directory, permissions: mode))))
        #expect(try shop.converge(.symlink(SymlinkSpec("\(shop.path)/l", target: "d"))))
        #expect(try shop.converge(.symlink(SymlinkSpec("\(shop.path)/l", target: "e"))))
        #expect(try shop.converge(.symlink(SymlinkSpec("\(shop.path)/l", target: "e", state: .absent))))
        #expect(try shop.converge(.directory(DirectorySpec(directory, state: .absent))))
    }

    @Test(arguments: ["relative", "/a/../etc/passwd", "/", ""])
    func pathsThatAreNotPlainAreRefused(_ path: String) {
        #expect(throws: BasculeError.self) { try ParentDirectory.find(path) }
    }

    @Test func captureBringsBackContentAndPermissions() throws {
        let shop = try Workshop()
        let path = "\(shop.path)/a"
        let old = FileSpec(path, "old", permissions: Permissions(owner: "nobody", mode: 0o640))
        #expect(try shop.converge(.file(old)))
        let desired = DesiredResource(.file(FileSpec(path, "new")), on: "n", origin: "test")
        let capture = try ResourceKeeper.capture(desired, shop.context)
        #expect(capture.objects.count == 1)
        #expect(try shop.converge(desired.resource))
        try ResourceKeeper.restore([capture], shop.context)
        #expect(shop.verdict(.file(old)) == .satisfied(reason: "same content and permissions"))
    }

    @Test func captureOfNothingRemovesWhatWasMade() throws {
        let shop = try Workshop()
        let desired = DesiredResource(.file(FileSpec("\(shop.path)/a", "new")), on: "n", origin: "test")
        let capture = try ResourceKeeper.capture(desired, shop.context)
        #expect(try shop.converge(desired.resource))
        try ResourceKeeper.restore([capture], shop.context)
        #expect(directoryNames(shop.path) == [])
    }
}
