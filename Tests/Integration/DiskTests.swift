import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Disks that are full, read-only or broken: the old state lives, and what is wrong is said.
    @Suite(.serialized, .scene("disk")) struct DiskTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// A fresh node with a fresh store.
        private func converge(_ text: String) async throws {
            try await scene.startAnew()
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
            try await converge(Sample.blank("n1") + Sample.files(2, item: 1))
            let disk = try await LoopDisk(
                megabytes: 8, file: "\(scene.folder)/disk.ext4", over: "\(scene.folder)/state")
            let before = try await scene.journal("n1").count
            try scene.fleet(Sample.blank("n1") + Sample.files(2, item: 2))
            try await disk.fill()
            try await expectRefused("store-full", "/srv/many/f0.conf", item: 1)
            #expect(try await scene.journal("n1").count == before, "the node was asked for nothing")
            disk.empty()
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.shell("n1", "grep -c 'item 2' /srv/many/f0.conf") == "1")
            disk.unmount()
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
        }

        @Test func aDiskWithoutInodesIsSaid() async throws {
            let node = Sample.blank("n1", disk: "64MiB")
            try await converge(node + Sample.files(1, item: 1))
            try await scene.shell(
                "n1", "mkdir /srv/fill; cd /srv/fill; seq 200000 | xargs touch 2>/dev/null; sync; true")
            #expect(try await scene.shell("n1", "df --output=iavail / | tail -1 | tr -d ' '") == "0")
            try scene.fleet(node + Sample.files(1, item: 2))
            try await expectRefused("disk-full", "/srv/many/f0.conf", item: 1)
            try await scene.shell("n1", "rm -rf /srv/fill")
            #expect(try await scene.bascule("apply", "--yes").status == 0)
        }

        /// What the kernel does with a disk that fails: first where files are managed, then where the agent's own state is.
        @Test func aReadOnlyFileSystemIsReported() async throws {
            try await converge(Sample.blank("n1") + Sample.files(1, item: 1))
            for path in ["/srv", "/var/lib/bascule"] {
                try scene.fleet(Sample.blank("n1") + Sample.files(1, item: path.utf8.count))
                let item = path == "/srv" ? 1 : 4
                try await scene.shell("n1", "mount --bind \(path) \(path) && mount -o remount,bind,ro \(path)")
                try await expectRefused("disk-read-only", "/srv/many/f0.conf", item: item)
                try await scene.shell("n1", "umount \(path)")
                let applied = try await scene.bascule("apply", "--yes")
                #expect(applied.status == 0, "\(applied.all)")
            }
        }

        /// A disk that fails under the agent's state: the kernel makes the file system read-only, the agent says it and
        /// touches nothing.
        @Test func aDiskThatFailsUnderTheAgentIsReported() async throws {
            try await converge(Sample.blank("n1") + Sample.files(1, item: 1))
            let place = "\(try scene.lab.root(of: "n1"))/var/lib/bascule"
            try await scene.lab.kill("n1")
            // The reserve for a full disk is larger than this disk.
            try FileManager.default.removeItem(atPath: "\(place)/reserve")
            // A disk that promises more than there is behind it: its last blocks fail with EIO, as a worn one's do.
            let small = "\(scene.folder)/small"
            try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: true)
            try #require(mount("tmpfs", small, "tmpfs", 0, "size=12m") == 0)
            defer { umount2(small, Int32(MNT_DETACH)) }
            let disk = try await LoopDisk(megabytes: 64, file: "\(small)/disk.ext4", over: place)
            _ = try await scene.lab.boot("n1")
            try scene.fleet(Sample.blank("n1") + Sample.files(1, item: 2))
            _ = try await Command.run(["dd", "if=/dev/zero", "of=\(small)/ballast", "bs=4k"])
            let wear = "dd if=/dev/zero of=/var/lib/bascule/ballast bs=64k count=100 2>/dev/null; sync; true"
            try await scene.shell("n1", wear)
            for _ in 0..<2 { try await expectRefused("disk-read-only", "/srv/many/f0.conf", item: 1) }
            withExtendedLifetime(disk) {}
        }

        /// A flush of the journal that fails: the agent stops working at once, and does not flush again as if that could
        /// bring back what the kernel has dropped.
        @Test func aFlushThatFailsIsNotTriedAgain() async throws {
            try await converge(Sample.blank("n1") + Sample.files(1, item: 1))
            let root = try scene.lab.root(of: "n1")
            let source = "\(Program.checkout)/Tests/Support/faults/flush-error.c"
            _ = try await Command.run(["cc", "-shared", "-fPIC", "-o", "\(root)/usr/local/lib/flush-error.so", source])
                .requireSuccess("cc")
            try await scene.shell(
                "n1",
                """
                mkdir -p /etc/systemd/system/bascule-agent.service.d
                printf '[Service]\nEnvironment=LD_PRELOAD=/usr/local/lib/flush-error.so\n' \
                  > /etc/systemd/system/bascule-agent.service.d/test.conf
                systemctl daemon-reload; rm -f /run/bascule/agent.sock; systemctl restart bascule-agent
                until test -S /run/bascule/agent.sock; do sleep 0.05; done; touch /run/flush-fails; rm -f /run/flush-calls
                """)
            try scene.fleet(Sample.blank("n1") + Sample.files(1, item: 2))
            try await expectRefused("disk-failed", "/srv/many/f0.conf", item: 1)
            #expect(try await scene.shell("n1", "wc -c < /run/flush-calls") == "1")
            // The disk is well again; what it dropped it does not know any more, and the agent does not trust it.
            try await scene.shell("n1", "rm /run/flush-fails")
            try await expectRefused("disk-failed", "/srv/many/f0.conf", item: 1)
            #expect(try await scene.shell("n1", "wc -c < /run/flush-calls") == "1", "no second try")
            try await scene.shell("n1", "systemctl restart bascule-agent")
            try await eventually(within: 10) {
                try await scene.run("n1", "test", "-S", "/run/bascule/agent.sock").status == 0
            }
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            #expect(try await scene.shell("n1", "grep -c '^item 2$' /srv/many/f0.conf") == "1")
        }
    }
}
