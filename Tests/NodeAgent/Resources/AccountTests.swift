import BasculeModel
import Glibc
import Testing

@testable import BasculeResources

/// Needs root: makes accounts with names of its own and deletes them.
@Suite(.serialized, .enabled(if: geteuid() == 0)) struct AccountTests {
    @Test func userAndGroupConvergeAndGo() throws {
        let shop = try Workshop()
        let name = "bt\(getpid())"
        let group = "bg\(getpid())"
        defer {
            _ = try? Subprocess.run(["userdel", "--", name])
            _ = try? Subprocess.run(["groupdel", "--", group])
        }
        #expect(try shop.converge(.group(GroupSpec(group, system: true))))
        let user = UserSpec(name, groups: [group], home: shop.path, shell: "/bin/false", system: true)
        let capture = try ResourceKeeper.capture(DesiredResource(.user(user), on: "n", origin: "test"), shop.context)
        #expect(try shop.converge(.user(user)))
        var changed = user
        changed.shell = "/bin/sh"
        #expect(try shop.converge(.user(changed)))
        try ResourceKeeper.restore([capture], shop.context)
        #expect(try AccountDatabase.current().users[name] == nil)
        #expect(try shop.converge(.group(GroupSpec(group, state: .absent))))
    }

    @Test(arguments: ["-r", "a b", "a:b", "", "a\nb"])
    func namesThatAreNoneAreRefused(_ name: String) throws {
        let shop = try Workshop()
        #expect(throws: BasculeError.self) { try AccountKeeper.apply(UserSpec(name)) }
        _ = shop
    }
}
