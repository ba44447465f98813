import Testing

@testable import BasculeProviders

/// What is read from the kernel's own files.
@Suite struct HostReadingTests {
    @Test func startTimeSurvivesStrangeNames() {
        let fields = (4...52).map(String.init).joined(separator: " ")
        #expect(ProcessIdentity.startTime(inStat: "7 (a) b (c)) S \(fields)") == 22)
        #expect(ProcessIdentity.startTime(inStat: "7 (dead) Z \(fields)") == nil)
        #expect(ProcessIdentity.startTime(inStat: "7 (short) S 1 2") == nil)
        #expect(ProcessIdentity.startTime(inStat: "") == nil)
    }

    @Test func aProcessIsItselfAndNoOther() throws {
        let own = try #require(ProcessIdentity.current)
        #expect(own.isAlive)
        let first = try #require(ProcessIdentity(pid: 1))
        #expect(first.isAlive && first != own)
        #expect(ProcessIdentity(pid: Int32.max) == nil)
    }

    @Test func findsTheControlGroupHierarchies() {
        let hybrid = """
            tmpfs /sys/fs/cgroup tmpfs rw 0 0
            cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
            cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
            """
        #expect(LabCgroup.roots(inMounts: hybrid) == ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"])
        #expect(LabCgroup.roots(inMounts: "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == ["/sys/fs/cgroup"])
        #expect(LabCgroup.roots(inMounts: "") == [])
    }

    @Test func readsMountPointsInOrder() {
        let text = """
            21 1 8:1 / / rw - ext4 /dev/a rw
            30 21 0:5 / /srv/a\\040b rw shared:1 - tmpfs t rw
            broken
            """
        #expect(LabMounts.points(in: text) == ["/", "/srv/a b"])
    }

    @Test func readsTheCodename() {
        #expect(LabImages.codename(inRelease: "ID=debian\nVERSION_CODENAME=bookworm\n") == "bookworm")
        #expect(LabImages.codename(inRelease: "VERSION_CODENAME=\"trixie\"") == "trixie")
        #expect(LabImages.codename(inRelease: "ID=arch\n") == nil)
    }
}
