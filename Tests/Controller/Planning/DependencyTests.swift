import BasculeModel
import Testing

@testable import BasculePlanning

@Suite struct DependencyTests {
    private func needs(_ desired: DesiredResource, among others: [DesiredResource]) -> Set<ResourceID> {
        Dependencies(others + [desired]).edges[desired.id] ?? []
    }

    private let directory = wanted(.directory(DirectorySpec("/srv/shop")))
    private let user = wanted(.user(UserSpec("shop")))
    private let group = wanted(.group(GroupSpec("www")))
    private let cluster = unit("postgresql@15-main.service")

    @Test func aFileNeedsItsNearestDirectoryItsOwnerAndThePackagesThatMayTouchIt() {
        let deep = wanted(.directory(DirectorySpec("/srv/shop/a/b")))
        let own = wanted(
            .file(
                FileSpec("/srv/shop/a/b/c/d", "x", permissions: Permissions(owner: "shop", group: "www", mode: 0o640))))
        #expect(
            needs(own, among: [directory, deep, user, group, deb("nginx"), file("/srv/shop/other")]) == [
                deep.id, user.id, group.id,
            ])
        #expect(needs(file("/srv/shopping/x"), among: [directory]).isEmpty)
        let strangers = wanted(
            .file(FileSpec("/srv/x", "x", permissions: Permissions(owner: "redis", group: "root", mode: 0o640))))
        #expect(needs(strangers, among: [deb("redis")]) == ["n/package:redis"], "the package makes the account")
        #expect(needs(file("/etc/x"), among: [deb("redis")]) == ["n/package:redis"])
    }

    @Test func aUnitNeedsTheFilesThatItReactsTo() {
        let web = unit("nginx.service", restartOn: ["/etc/a"], reloadOn: ["/etc/b"])
        #expect(
            needs(web, among: [file("/etc/a"), file("/etc/b"), file("/etc/c"), deb("nginx")]) == [
                "n/file:/etc/a", "n/file:/etc/b", "n/package:nginx",
            ])
    }

    @Test func repositoriesComeBeforePackagesAndPackagesBeforeAllElse() {
        let repository = wanted(
            .aptRepository(
                AptRepositorySpec("pgdg", uris: ["https://example.org"], suites: ["x"], components: ["main"], key: "k"))
        )
        #expect(needs(deb("postgresql-15"), among: [repository, deb("nginx")]) == [repository.id])
        #expect(needs(repository, among: [deb("nginx")]).isEmpty)
        #expect(needs(group, among: [deb("nginx"), repository]) == ["n/package:nginx"])
    }

    @Test func theDatabaseIsBuiltFromTheClusterUp() {
        let owner = wanted(.postgresRole(PostgresRoleSpec("shop")))
        let database = wanted(.postgresDatabase(PostgresDatabaseSpec("shop", owner: "shop")))
        let extra = wanted(.postgresExtension(PostgresExtensionSpec("citext", database: "shop")))
        let all = [cluster, owner, database, extra]
        #expect(needs(owner, among: all) == [cluster.id])
        #expect(needs(database, among: all) == [cluster.id, owner.id])
        #expect(needs(extra, among: all) == [cluster.id, database.id])
    }

    @Test func whatIsRequiredButNotDeclaredIsNoEdgeAndNothingNeedsItself() {
        let own = file("/etc/a", requires: ["n/file:/etc/a", "n/unit:gone", "other/file:/etc/b", "n/file:/etc/b"])
        #expect(needs(own, among: [file("/etc/b")]) == ["n/file:/etc/b"])
    }

    @Test func aCircleIsAnErrorThatNamesIt() {
        let circle = [
            file("/a", requires: ["n/file:/b"]), file("/b", requires: ["n/file:/c"]),
            file("/c", requires: ["n/file:/a"]), file("/d", requires: ["n/file:/a"]),
        ]
        let error = #expect(throws: BasculeError.self) {
            try ResourcePlanner(node: "n", desired: circle, observations: nil)
        }
        #expect(error?.code == .invalidInput)
        #expect(error?.message.contains("n/file:/a → n/file:/b → n/file:/c → n/file:/a") == true)
        #expect(
            code {
                try ResourcePlanner(node: "n", desired: circle.dropFirst().dropLast() + [file("/a")], observations: nil)
            } == nil)
    }
}
