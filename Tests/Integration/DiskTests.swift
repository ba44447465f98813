import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Disks that are full, read-only or broken: the old state lives, and what is wrong is said.
    @Suite(.serialized, .scene("disk")) struct DiskTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func converge(_ text: String) async throws {
            try scene.fleet(text)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// A refused apply that names its reason and changed nothing of `path`.
        private func expectRefused(_ code: String, _ path: String, item: Int) async throws {
            let applied = try await scene.bascule("apply", "--yes")
            #expect(
                applied.status == 1 && applied.all.contains("[\(code)]") && applied.all.contains("hint: "),
                "\(applied.all)")
            #expect(try await scene.shell("n1", "grep -c '^item \(item)$' \(path)") == "1", "the old file is whole")
        }

        @Test func aFullDiskOfTheStoreStopsBeforeAnyNodeIsTouched() async throws {
            let disk = try await LoopDisk(megabytes: 8, file: "\(scene.folder)/disk.ext4", at: "\(scene.folder)/state")
            try await converge(Sample.blank("n1") + Sample.files(2, item: 1))
            let before = try await scene.journal("n1").count
            try scene.fleet(Sample.blank("n1") + Sample.files(2, item: 2))
            try await disk.fill()
            try await expectRefused("store-full", "/srv/many/f0.conf", item: 1)
            #expect(try await scene.journal("n1").count == before, "the node was asked for nothing")
            disk.empty()
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.shell("n1", "grep -c 'item 2' /srv/many/f0.conf") == "1")
            try await scene.lab.down()
            umount2(disk.mountPoint, Int32(MNT_DETACH))
            try scene.forgetStore()
        }

        /// The new content fits; what stood there before cannot be kept, so it is not replaced.
        @Test func aSnapshotThatDoesNotFitKeepsTheOldFile() async throws {
            let big = "item 1\n" + String(repeating: "0123456789abcdef", count: 20_000)
            try scene.write("big.txt", big)
            let node = Sample.blank("n1", disk: "400MiB")
            try await converge(node + "  - {on: all, file: /srv/many/f0.conf, source: big.txt}\n")
            try await scene.shell(
                "n1",
                """
                for size in 1M 64k 1k; do
                  dd if=/dev/zero of=/srv/ballast bs=$size oflag=append conv=notrunc 2>/dev/null; sync
                done
                truncate -s -150K /srv/ballast; sync
                """)
            try scene.fleet(node + Sample.files(1, item: 2))
            try await expectRefused("disk-full", "/srv/many/f0.conf", item: 1)
            #expect(try await scene.shell("n1", "wc -c < /srv/many/f0.conf") == "\(big.utf8.count)")
            try await scene.shell("n1", "rm /srv/ballast")
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try await scene.lab.down()
            try scene.forgetStore()
        }

        @Test func aDiskWithoutInodesIsSaid() async throws {
            let node = Sample.blank("n1", disk: "64MiB")
            try await converge(node + Sample.files(1, item: 1))
            try await scene.shell("n1", "mkdir /srv/fill; cd /srv/fill; seq 200000 | xargs touch 2>/dev/null; sync; true")
            #expect(try await scene.shell("n1", "df --output=iavail / | tail -1 | tr -d ' '") == "0")
            try scene.fleet(node + Sample.files(1, item: 2))
            try await expectRefused("disk-full", "/srv/many/f0.conf", item: 1)
            try await scene.shell("n1", "rm -rf /srv/fill")
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try await scene.lab.down()
            try scene.forgetStore()
        }

        /// What the kernel does with a disk that fails: first where files are managed, then where the agent's own state is.
        @Test func aReadOnlyFileSystemIsReported() async throws {
            try await converge(Sample.blank("n1") + Sample.files(1, item: 1))
            for path in ["/srv", "/var/lib/bascule"] {
                try scene.fleet(Sample.blank("n1") + Sample.files(1, item: path.utf8.count))
                let item = path == "/srv" ? 1 : 4
                try await scene.shell("n1", "mount --bind \(path) \(path) && mount -o remount,bind,ro \(path)")
                // The agent has its own view of the mounts where its unit is hardened; a fresh start shows it this one.
                try await scene.shell("n1", "systemctl restart bascule-agent; sleep 0.3")
                try await expectRefused("disk-read-only", "/srv/many/f0.conf", item: item)
                try await scene.shell("n1", "umount \(path); systemctl restart bascule-agent; sleep 0.3")
                let applied = try await scene.bascule("apply", "--yes")
                #expect(applied.status == 0, "\(applied.all)")
            }
        }

        /// The disk below the agent's state takes writes and loses them when they are flushed: the agent stops working
        /// at once, and does not flush again as if that could bring back what was lost.
        @Test func aFlushThatFailsStopsTheAgent() async throws {
            try await converge(Sample.blank("n1") + Sample.files(1, item: 1))
            let place = "\(try scene.lab.root(of: "n1"))/var/lib/bascule"
            try await scene.lab.kill("n1")
            // A small disk that promises more than it has: its last blocks fail with EIO, as a worn one's do.
            let small = "\(scene.folder)/small"
            try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: true)
            try #require(mount("tmpfs", small, "tmpfs", 0, "size=12m") == 0)
            defer { umount2(small, Int32(MNT_DETACH)) }
            let moved = "\(scene.folder)/moved"
            _ = try await Command.run(["cp", "-a", place, moved]).requireSuccess("cp")
            let disk = try await LoopDisk(megabytes: 64, file: "\(small)/disk.ext4", at: place)
            _ = try await Command.run(["cp", "-a", "\(moved)/.", place]).requireSuccess("cp")
            _ = try await Command.run(["sync", "-f", place])
            _ = try await scene.lab.boot("n1")
            try scene.fleet(Sample.blank("n1") + Sample.files(1, item: 2))
            let before = try await scene.journal("n1").count
            // Now nothing more fits below the disk.
            _ = try await Command.run(["dd", "if=/dev/zero", "of=\(small)/ballast", "bs=4k"])
            try await scene.shell("n1", "dd if=/dev/zero of=/var/lib/bascule/ballast bs=64k count=100 2>/dev/null; sync; true")
            let applied = try await scene.bascule("apply", "--yes")
            print(applied.all)
            #expect(applied.status == 1 && applied.all.contains("[disk-"), "\(applied.all)")
            let again = try await scene.bascule("apply", "--yes")
            print(again.all)
            #expect(again.status == 1, "\(again.all)")
            #expect(try await scene.shell("n1", "grep -c '^item 1$' /srv/many/f0.conf") == "1")
            print(before, try await scene.shell("n1", "journalctl -u bascule-agent -o cat | tail -5; dmesg | tail -3; mount | grep bascule"))
            withExtendedLifetime(disk) {}
            try await scene.lab.down()
            try scene.forgetStore()
        }
    }
}
