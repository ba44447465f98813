import BasculeModel
import Testing

/// One row of a table: what is desired, what was observed, and what the pure diff must say.
struct DiffCase: Sendable, CustomTestStringConvertible {
    var name: String
    var resource: Resource
    var observed: Observed
    /// nil: satisfied.
    var action: ChangeAction?
    var attributes: [String] = []
    var testDescription: String { name }
}

private let digestA = Digest(rawValue: String(repeating: "a", count: 64))
private let digestB = Digest(rawValue: String(repeating: "b", count: 64))
private let fileMode = Permissions(mode: 0o644)

@Suite struct ResourceDiffTests {
    static let packages: [DiffCase] = [
        DiffCase(
            name: "absent package is created", resource: .package(PackageSpec("nginx")),
            observed: .package(PackageObserved(version: nil, status: "not-installed")), action: .create,
            attributes: ["version"]),
        DiffCase(
            name: "installed package is left alone, whatever its version", resource: .package(PackageSpec("nginx")),
            observed: .package(PackageObserved(version: "1.22", status: "installed"))),
        DiffCase(
            name: "another version is asked for", resource: .package(PackageSpec("nginx", version: "1.24")),
            observed: .package(PackageObserved(version: "1.22", status: "installed")), action: .update,
            attributes: ["version"]),
        DiffCase(
            name: "half-installed package is repaired", resource: .package(PackageSpec("nginx")),
            observed: .package(PackageObserved(version: "1.22", status: "half-installed reinstreq")), action: .update,
            attributes: ["status"]),
        DiffCase(
            name: "left configuration files are not an installed package", resource: .package(PackageSpec("nginx")),
            observed: .package(PackageObserved(version: "1.22", status: "config-files")), action: .create,
            attributes: ["version"]),
        DiffCase(
            name: "left configuration files count as absent", resource: .package(PackageSpec("nginx", state: .absent)),
            observed: .package(PackageObserved(version: "1.22", status: "config-files"))),
        DiffCase(
            name: "unwanted package is deleted", resource: .package(PackageSpec("nginx", state: .absent)),
            observed: .package(PackageObserved(version: "1.22", status: "installed")), action: .delete,
            attributes: ["version"]),
    ]

    static let files: [DiffCase] = [
        DiffCase(
            name: "missing file", resource: .file(FileSpec("/a", "x")),
            observed: .file(FileObserved(type: .nothing, desiredDigest: digestA)), action: .create,
            attributes: ["content", "mode"]),
        DiffCase(
            name: "same file", resource: .file(FileSpec("/a", "x")),
            observed: .file(FileObserved(type: .file, permissions: fileMode, digest: digestA, desiredDigest: digestA))),
        DiffCase(
            name: "other content and mode", resource: .file(FileSpec("/a", "x")),
            observed: .file(
                FileObserved(
                    type: .file, permissions: Permissions(mode: 0o600), digest: digestB, desiredDigest: digestA)),
            action: .update, attributes: ["content", "mode"]),
        DiffCase(
            name: "a link in the file's place", resource: .file(FileSpec("/a", "x")),
            observed: .file(FileObserved(type: .symlink, permissions: fileMode, desiredDigest: digestA)),
            action: .create, attributes: ["type", "content", "mode"]),
        DiffCase(
            name: "unwanted file", resource: .file(FileSpec("/a", "", state: .absent)),
            observed: .file(FileObserved(type: .file)), action: .delete, attributes: ["type"]),
        DiffCase(
            name: "directory with another owner", resource: .directory(DirectorySpec("/d")),
            observed: .directory(
                DirectoryObserved(type: .directory, permissions: Permissions(owner: "www-data", mode: 0o755))),
            action: .update, attributes: ["owner"]),
        DiffCase(
            name: "link elsewhere", resource: .symlink(SymlinkSpec("/l", target: "b")),
            observed: .symlink(SymlinkObserved(type: .symlink, target: "a")), action: .update, attributes: ["target"]),
    ]

    static let accounts: [DiffCase] = [
        DiffCase(
            name: "missing group", resource: .group(GroupSpec("ops", gid: 1500)),
            observed: .group(GroupObserved(gid: nil)),
            action: .create, attributes: ["gid"]),
        DiffCase(
            name: "user that lacks a group", resource: .user(UserSpec("u", groups: ["ops", "www-data"])),
            observed: .user(
                UserObserved(uid: 1000, group: "u", groups: ["www-data"], home: "/home/u", shell: "/bin/sh")),
            action: .update, attributes: ["groups"]),
        DiffCase(
            name: "user in more groups than asked", resource: .user(UserSpec("u", groups: ["ops"])),
            observed: .user(UserObserved(uid: 1000, group: "u", groups: ["adm", "ops"]))),
        DiffCase(
            name: "unwanted user", resource: .user(UserSpec("u", state: .absent)),
            observed: .user(UserObserved(uid: 1000)), action: .delete, attributes: ["uid"]),
    ]

    static let units: [DiffCase] = [
        DiffCase(
            name: "stopped unit starts", resource: .unit(UnitSpec("a.service")),
            observed: .unit(UnitObserved(load: "loaded", active: "inactive", unitFile: "enabled")), action: .start,
            attributes: ["state"]),
        DiffCase(
            name: "running and enabled", resource: .unit(UnitSpec("a.service")),
            observed: .unit(UnitObserved(load: "loaded", active: "active", unitFile: "enabled"))),
        DiffCase(
            name: "a lost restart is seen", resource: .unit(UnitSpec("a.service")),
            observed: .unit(UnitObserved(load: "loaded", active: "active", unitFile: "enabled", restartPending: true)),
            action: .restart, attributes: ["process"]),
        DiffCase(
            name: "a lost reload is seen", resource: .unit(UnitSpec("a.service")),
            observed: .unit(UnitObserved(load: "loaded", active: "active", unitFile: "enabled", reloadPending: true)),
            action: .reload, attributes: ["process"]),
        DiffCase(
            name: "a restart covers a reload", resource: .unit(UnitSpec("a.service")),
            observed: .unit(
                UnitObserved(
                    load: "loaded", active: "active", unitFile: "enabled", restartPending: true, reloadPending: true)),
            action: .restart, attributes: ["process"]),
        DiffCase(
            name: "nothing is restarted that is to be stopped", resource: .unit(UnitSpec("a.service", state: .stopped)),
            observed: .unit(UnitObserved(load: "loaded", active: "active", unitFile: "enabled", restartPending: true)),
            action: .stop, attributes: ["state"]),
        DiffCase(
            name: "static units need no enabling", resource: .unit(UnitSpec("a.service")),
            observed: .unit(UnitObserved(load: "loaded", active: "active", unitFile: "static"))),
        DiffCase(
            name: "masked", resource: .unit(UnitSpec("a.service", state: nil, enabled: nil, masked: true)),
            observed: .unit(UnitObserved(load: "loaded", active: "inactive", unitFile: "enabled")), action: .update,
            attributes: ["masked"]),
    ]

    static let others: [DiffCase] = [
        DiffCase(
            name: "setting saved but not live", resource: .sysctl(SysctlSpec("a.b", "1")),
            observed: .sysctl(SysctlObserved(live: "0", saved: "1", writable: true)), action: .update,
            attributes: ["live"]),
        DiffCase(
            name: "password of another", resource: .postgresRole(PostgresRoleSpec("app", password: "pw")),
            observed: .postgresRole(PostgresRoleObserved(exists: true, login: true, passwordMatches: false)),
            action: .update, attributes: ["password"]),
        DiffCase(
            name: "setting that waits for a restart",
            resource: .postgresSetting(PostgresSettingSpec("shared_buffers", "1GB")),
            observed: .postgresSetting(
                PostgresSettingObserved(saved: "1GB", live: "128MB", needsRestart: true, pendingRestart: true)),
            action: .restart, attributes: ["server"]),
        DiffCase(
            name: "probe failed", resource: .command(CommandSpec("c", command: ["a"], unless: ["b"])),
            observed: .command(CommandObserved(done: false)), action: .run, attributes: ["command"]),
        DiffCase(
            name: "certificate for other names",
            resource: .certificate(CertificateSpec("c", domains: ["a"], certificatePath: "/c", keyPath: "/k")),
            observed: .certificate(CertificateObserved(present: true, domains: ["b"], keyMatches: true)),
            action: .update,
            attributes: ["domains"]),
    ]

    @Test(arguments: packages + files + accounts + units + others)
    func verdict(_ row: DiffCase) {
        switch row.resource.verdict(row.observed) {
        case .satisfied: #expect(row.action == nil)
        case .change(let change):
            #expect(change.action == row.action)
            #expect(change.differences.map(\.attribute) == row.attributes)
        case .unreachable(let reason): Issue.record("unreachable: \(reason)")
        }
    }

    /// What can never be reached is said, not failed and not tried for ever.
    @Test(arguments: [
        (
            Resource.directory(DirectorySpec("/d", state: .absent)),
            Observed.directory(DirectoryObserved(type: .directory, isEmpty: false))
        ),
        (.directory(DirectorySpec("/d")), .directory(DirectoryObserved(type: .file))),
        (.sysctl(SysctlSpec("a.b", "1")), .sysctl(SysctlObserved(live: "0", saved: "1", writable: false))),
        (
            .postgresDatabase(PostgresDatabaseSpec("d", owner: "o")),
            .postgresDatabase(PostgresDatabaseObserved(owner: "o", encoding: "LATIN1", locale: "C"))
        ),
        (.package(PackageSpec("a")), .unobservable(reason: "no dpkg")),
        (.package(PackageSpec("a")), .group(GroupObserved(gid: 1))),
    ])
    func unreachable(_ resource: Resource, _ observed: Observed) {
        guard case .unreachable(let reason) = resource.verdict(observed) else {
            Issue.record("not unreachable")
            return
        }
        #expect(!reason.isEmpty)
    }

    @Test func secretContentHasNoPreview() {
        let content = Content.parts([.text("PASSWORD="), .secret("db")])
        let spec = FileSpec("/a", content)
        let observed = FileObserved(type: .file, permissions: fileMode, digest: digestA, desiredDigest: digestB)
        guard case .change(let change) = spec.verdict(observed) else {
            Issue.record("no change")
            return
        }
        #expect(change.differences.allSatisfy { $0.diff == nil })
        #expect(content.display == "PASSWORD=‹secret db›")
    }

    @Test func textContentHasAPreview() {
        let observed = FileObserved(
            type: .file, permissions: fileMode, digest: digestA, desiredDigest: digestB, text: "a\nb\n")
        guard case .change(let change) = FileSpec("/a", "a\nc\n").verdict(observed) else {
            Issue.record("no change")
            return
        }
        #expect(change.differences.first?.diff == "@@ -1,2 +1,2 @@\n a\n-b\n+c")
    }
}
