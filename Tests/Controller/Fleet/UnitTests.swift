import Testing

@testable import BasculeFleet

@Suite struct UnitTests {
    @Test(arguments: [
        ("30s", Duration.seconds(30)), ("5m", .seconds(300)), ("300s", .seconds(300)), ("2h", .seconds(7200)),
        ("1h30m", .seconds(5400)), ("250ms", .milliseconds(250)), ("7d", .seconds(604_800)), ("0s", .zero),
    ])
    func durations(text: String, value: Duration) { #expect(UnitText.duration(text) == value) }

    @Test(arguments: ["", "5", "m", "5 m", "-5m", "5M", "1.5h", "٣s", "99999999999s", "5mm"])
    func noDurations(text: String) { #expect(UnitText.duration(text) == nil) }

    @Test(arguments: [
        ("256MiB", Int64(268_435_456)), ("1GiB", 1_073_741_824), ("10MB", 10_000_000), ("1024", 1024), ("4kB", 4000),
    ])
    func sizes(text: String, bytes: Int64) { #expect(UnitText.size(text)?.bytes == bytes) }

    @Test(arguments: ["", "MiB", "1.5GiB", "256 MiB", "256mb", "-1", "999999999999TiB"])
    func noSizes(text: String) { #expect(UnitText.size(text) == nil) }

    @Test func unitsAreWrittenAsTheyAreRead() {
        #expect(UnitText.write(ByteSize.mebibytes(256)) == "256MiB")
        #expect(UnitText.write(ByteSize(bytes: 1000)) == "1000")
        #expect(UnitText.write(.seconds(5400)) == "90m")
        #expect(UnitText.write(.milliseconds(1500)) == "1500ms")
    }

    @Test func percentages() {
        #expect(UnitText.percentage("10%") == Percentage(10))
        #expect(UnitText.percentage("0.5%")?.fraction == 0.005)
        for text in ["10", "%", "101%", "-1%", "nan%", "1e1%x"] { #expect(UnitText.percentage(text) == nil) }
    }

    @Test func commandsAreSplitWithoutAShell() {
        func words(_ text: String) -> [String]? { try? CommandText.split(text).get() }
        #expect(words("npm ci --omit=dev") == ["npm", "ci", "--omit=dev"])
        #expect(words("sh -c 'a && b'") == ["sh", "-c", "a && b"])
        #expect(words(#"echo "a b" c\ d '' "x\"y""#) == ["echo", "a b", "c d", "", "x\"y"])
        for text in ["", "  ", "a | b", "a; b", "a $B", "a \"$B\"", "a `b`", "a > b", "a 'b", "A=1 b", "a\nb"] {
            #expect(words(text) == nil, "\(text)")
        }
    }

    @Test func paths() {
        for text in ["/", "/etc/nginx", "/srv/a b", "/a/.b"] { #expect(PathText.isAbsolute(text)) }
        for text in ["", "a", "/a/", "//a", "/a/../b", "/a/./b", "/a\nb", "/a'b", "/a$b", "/a;b", "/a\0b"] {
            #expect(!PathText.isAbsolute(text), "\(text)")
        }
        for text in ["/", "/srv/a-b_c.d/E9"] { #expect(PathText.isPlainAbsolute(text)) }
        for text in ["/srv/a b", "/srv/a&b", "/a|b", "/a>b", "/a(b", "/a*", "/%h", "/a~", "/a#b", "/é", "/a/../b", "a"]
        {
            #expect(!PathText.isPlainAbsolute(text), "\(text)")
        }
        #expect(PathText.inside("./a/b") == "a/b")
        #expect(PathText.inside(".") == ".")
        for text in ["", "../a", "a/../b", "/a", "~/a", "a/.."] { #expect(PathText.inside(text) == nil, "\(text)") }
    }

    @Test func hosts() {
        for text in ["a.example", "192.0.2.1", "2001:db8::1", "localhost"] { #expect(HostText.isHost(text)) }
        for text in ["", "a b", "a:b", "-a", "a;b", "a\0"] { #expect(!HostText.isHost(text), "\(text)") }
        for text in ["10.0.0.0/8", "192.0.2.1", "fd00::/8"] { #expect(HostText.isNetwork(text)) }
        for text in ["10.0.0.0/33", "10.0.0/8", "a", "10.0.0.0/", "10.0.0.0/8/8"] {
            #expect(!HostText.isNetwork(text), "\(text)")
        }
    }

    @Test func nearMisses() {
        let keys = ["port", "poolMode", "address", "user"]
        #expect(NearMiss.suggestion(for: "prot", among: keys) == "port")
        #expect(NearMiss.suggestion(for: "pool_mode", among: keys) == "poolMode")
        #expect(NearMiss.suggestion(for: "adress", among: keys) == "address")
        #expect(NearMiss.suggestion(for: "colour", among: keys) == nil)
        #expect(NearMiss.suggestion(for: "", among: keys) == nil)
    }

    @Test func placementsAreResolved() {
        let topology = Topology(["a": [.web, .app], "b": [.app]])
        #expect(Placement.all.nodes(in: topology) == ["a", "b"])
        #expect(Placement.some([.role(.app)]).nodes(in: topology) == ["a", "b"])
        #expect(Placement.some([.role(.web), .node("c")]).nodes(in: topology) == ["a", "c"])
    }
}
