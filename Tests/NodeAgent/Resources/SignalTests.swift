import Testing

@testable import BasculeResources

/// What systemd sends without being asked.
struct SignalTests {
    @Test(
        arguments: [
            ("/org/freedesktop/systemd1/unit/nginx_2eservice", "nginx.service"),
            ("/org/freedesktop/systemd1/unit/bascule_2dshop_403001_2eservice", "bascule-shop@3001.service"),
            ("/org/freedesktop/systemd1/unit/_31_2eservice", "1.service"),
            ("/org/freedesktop/systemd1/unit/a_", nil),
            ("/org/freedesktop/systemd1/unit/a_zz", nil),
            ("/org/freedesktop/systemd1/job/17", nil),
            ("/org/freedesktop/systemd1", nil),
        ] as [(String, String?)])
    func unitPaths(path: String, expected: String?) { #expect(UnitPath.name(path) == expected) }

    @Test(arguments: [
        "nginx.service", "postgresql@15-main.service", "dev-disk-by\\x2did.mount", "9p.service", "a_b.timer",
    ])
    func aUnitsPathNamesIt(unit: String) { #expect(UnitPath.name(UnitPath.path(unit)) == unit) }

    @Test func aUnitsPathIsSystemdsOwn() {
        #expect(
            UnitPath.path("postgresql@15-main.service")
                == "/org/freedesktop/systemd1/unit/postgresql_4015_2dmain_2eservice")
        #expect(UnitPath.path("9p.service") == "/org/freedesktop/systemd1/unit/_39p_2eservice")
    }

    /// A call is no signal; made one by its type, it tells where it is from.
    @Test func theHeaderIsRead() throws {
        var bytes = DBusWriter.call(
            serial: 3, path: "/org/freedesktop/systemd1/unit/a_2eservice", interface: "org.freedesktop.DBus.Properties",
            member: "PropertiesChanged", arguments: [])
        #expect(try DBusSignal(bytes[...]) == nil)
        bytes[1] = 4
        let signal = try #require(try DBusSignal(bytes[...]))
        #expect(signal.path == "/org/freedesktop/systemd1/unit/a_2eservice" && signal.member == "PropertiesChanged")
        #expect(throws: (any Error).self) { try DBusSignal(bytes.prefix(20)) }
    }
}
