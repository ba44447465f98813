import BasculeCrypto
import BasculeModel
import Testing

@testable import BasculeResources

@Suite struct ParsingTests {
    /// Only once both lines are whole: an answer may be cut anywhere.
    @Test func redisCounters() {
        let text = "+OK\r\n$60\r\n# Stats\r\nkeyspace_hits:120\r\nkeyspace_misses:30\r\nx:1\r\n"
        #expect(GaugeReader.counters(text) == ["hits": 120, "misses": 30])
        let whole = text.utf8.count - "\r\nx:1\r\n".utf8.count
        for length in 0...whole {
            #expect(GaugeReader.counters(String(decoding: text.utf8.prefix(length), as: UTF8.self)) == nil, "\(length)")
        }
        #expect(GaugeReader.counters("-WRONGPASS\r\n") == nil)
    }

    @Test func dpkgStatus() {
        let text = """
            Package: nginx
            Status: install ok installed
            Architecture: amd64
            Version: 1.22.1-9
            Description: web server
             Package: not this one
            Depends: libc6

            Package: broken
            Status: install reinstreq half-installed
            Architecture: amd64
            Version: 2

            Package: old
            Status: deinstall ok config-files
            Architecture: amd64
            Version: 3

            Package: libc6
            Status: install ok unpacked
            Architecture: i386
            Version: 4

            Package: libc6
            Status: install ok installed
            Architecture: amd64
            Version: 5
            """
        let status = DpkgStatus(parsing: Array(text.utf8))
        #expect(status.entries["nginx"]?.version == "1.22.1-9")
        #expect(status.entries["nginx"]?.status == "installed")
        #expect(status.entries["old"]?.status == "config-files")
        #expect(status.entries["libc6"]?.version == "5")
        #expect(status.entries["libc6:i386"]?.status == "unpacked")
        #expect(status.broken == ["broken"])
        #expect(status.installedCount == 2)
    }

    @Test func accounts() throws {
        let accounts = AccountDatabase(
            passwd: "root:x:0:0:root:/root:/bin/bash\nshop:x:999:998::/srv/shop:/usr/sbin/nologin\nbad line\n",
            group: "root:x:0:\nshop:x:998:\nadm:x:4:shop,other\nwww:x:33:shop\n")
        #expect(try accounts.requireUser("shop").uid == 999)
        #expect(accounts.groupName(998) == "shop")
        #expect(accounts.userName(12345) == "12345")
        #expect(accounts.supplementary(of: "shop") == ["adm", "www"])
        #expect(try accounts.uid("4711") == 4711)
        #expect(throws: BasculeError.self) { try accounts.gid("nobody-here") }
    }

    @Test func aptOutput() {
        #expect(AptRemovals.removed(in: "Inst a\nRemv b [1]\nPurg c [2]\n") == ["b", "c"])
        #expect(AptRemovals.automatic(in: "Package: a\nAuto-Installed: 1\n\nPackage: b\nAuto-Installed: 0\n") == ["a"])
        #expect(Apt.isStale("E: Unable to locate package nginx"))
        #expect(Apt.isStale("Err:1 http://deb x\n  404  Not Found [IP: 1.2.3.4 80]"))
        #expect(!Apt.isStale("E: Sub-process /usr/bin/dpkg returned an error code (1)"))
    }

    @Test(arguments: [
        ("https://deb.nodesource.com/node_20.x", "deb.nodesource.com_node%5f20.x"),
        ("http://apt.example/", "apt.example"), ("file:/srv/repo", "_srv_repo"),
    ])
    func aptListNames(_ uri: String, _ stem: String) { #expect(AptRepositoryKeeper.listStem(uri) == stem) }

    @Test func certificateText() {
        let text = """
            notBefore=2026-11-21 09:00:00Z
            notAfter=2027-12-23 09:00:00Z
            X509v3 Subject Alternative Name:\u{20}
                DNS:shop.example, DNS:www.shop.example
            """
        #expect(CertificateKeeper.names(in: text) == ["shop.example", "www.shop.example"])
        #expect(CertificateKeeper.moment("notBefore=", in: text) == 1_795_251_600)
    }

    @Test func upstreamRoundTrip() {
        let spec = AppSpec(
            app: "shop", release: Digest(rawValue: "a"), root: "/srv/apps/shop", ports: [3001, 3002],
            unit: "bascule-shop",
            healthPath: "/", healthTimeout: 1, drain: 1, upstreamFile: "/u", upstream: "shop")
        let text = NginxUpstream.text(spec)
        #expect(NginxUpstream.ports(in: text) == [3001, 3002])
        let other = text.split(separator: "upstream shop_without_3002 {")
        #expect(other.count == 2 && NginxUpstream.ports(in: String(other[1])) == [3001])
        #expect(
            NginxUpstream.ports(in: "upstream a {\n server 127.0.0.1:1 down;\n server 127.0.0.1:2 weight=2;\n}") == [2])
    }

    @Test func establishedConnections() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue
               0: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1
               1: 0100007F:0BB9 0100007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 2
               2: 0100007F:C350 0100007F:0BB9 01 00000000:00000000 00:00000000 00000000 0 0 3
            """
        #expect(Connections.count(in: table, port: 3001) == 1)
    }

    @Test func environmentFile() throws {
        let text = try EnvironmentFile.text(["B": Array("a\"b$c\\d`\ne".utf8), "A": []])
        #expect(String(decoding: text, as: UTF8.self) == "A=\"\"\nB=\"a\\\"b\\$c\\\\d\\`\ne\"\n")
        for name in ["", "1A", "A-B", "A B", "A=B"] {
            #expect(throws: BasculeError.self) { try EnvironmentFile.text([name: []]) }
        }
    }

    @Test func sqlQuoting() {
        #expect(SQL.name("a\"b") == "\"a\"\"b\"")
        #expect(SQL.text("it's") == "'it''s'")
        #expect(SQL.text("a\\'; DROP") == "E'a\\\\''; DROP'")
        #expect(PostgresKeeper.value("shared_preload_libraries", "a, b") == "'a', 'b'")
        #expect(PostgresKeeper.sameList("shared_preload_libraries", "a, \"b\"", "a,b"))
        #expect(!PostgresKeeper.sameList("work_mem", "1 MB", "1MB"))
    }

    /// The example of RFC 7677: user `user`, password `pencil`.
    @Test func scramKnownAnswer() throws {
        let salt = try #require(Hex.decode("5b6d99689d12358eeca04b141236fa81"))
        let verifier = ScramVerifier.make(Secret("pencil"), salt: salt)
        #expect(verifier.hasPrefix("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"))
        #expect(verifier.hasSuffix(":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="))
        #expect(ScramVerifier.matches(verifier, Secret("pencil"), nodeKey: [1]))
        #expect(!ScramVerifier.matches(verifier, Secret("pencils"), nodeKey: [1]))
        #expect(!ScramVerifier.matches("md5abc", Secret("pencil"), nodeKey: [1]))
    }

    @Test func firewallAlwaysLetsTheAdministratorIn() throws {
        let rule = FirewallSpec.Rule(.tcp, 5432, from: ["10.0.0.0/8", "fd00::/8"], purpose: "db\" drop; #")
        let text = try FirewallRules.text(FirewallSpec(rules: [rule]), sshPorts: [2222, 22])
        #expect(text.contains("tcp dport { 22, 2222 } accept comment \"ssh\""))
        #expect(text.contains("ip saddr { 10.0.0.0/8 } tcp dport 5432 accept comment \"db drop \""))
        #expect(text.contains("ip6 saddr { fd00::/8 } tcp dport 5432"))
        for bad in ["1.2.3.4; drop", "example.com", ""] {
            let wrong = FirewallSpec(rules: [FirewallSpec.Rule(.tcp, 1, from: [bad], purpose: "x")])
            #expect(throws: BasculeError.self) { try FirewallRules.text(wrong, sshPorts: [22]) }
        }
    }

    @Test func archiveMembers() {
        #expect(ReleaseArchive.isSafe("./app/server.js"))
        #expect(ReleaseArchive.isSafe("a..b/c"))
        for bad in ["/etc/passwd", "../x", "a/../../x"] { #expect(!ReleaseArchive.isSafe(bad[...])) }
    }

    @Test func systemdQuoting() {
        #expect(TimerKeeper.quote("100% \"a\" $HOME \\") == "\"100%% \\\"a\\\" $$HOME \\\\\"")
    }

    @Test func sysctlText() {
        #expect(SysctlKeeper.normalised("4096\t131072\t6291456\n") == "4096 131072 6291456")
        #expect(SysctlKeeper.savedValue(Array("# x\nnet.a.b = 1  2\n".utf8), "net.a.b") == "1 2")
    }

    @Test func dbusReplyIsRead() throws {
        // A method return to serial 7 with a variant that holds "active".
        var body = DBusWriter()
        body.signature("s")
        body.pad(4)
        body.string("active")
        var message: [UInt8] = [UInt8(ascii: "l"), 2, 0, 1]
        message += [UInt8(body.bytes.count), 0, 0, 0, 9, 0, 0, 0, 15, 0, 0, 0]
        message += [5, 1, UInt8(ascii: "u"), 0, 7, 0, 0, 0, 8, 1, UInt8(ascii: "g"), 0, 1, UInt8(ascii: "v"), 0, 0]
        let reply = try #require(try DBusReply((message + body.bytes)[...], header: 32))
        #expect(reply.serial == 7 && reply.value == "active" && reply.error == nil)
        #expect(throws: DBusReader.Malformed.self) { try DBusReply((message + body.bytes.prefix(6))[...], header: 32) }
    }

    @Test func factsTexts() {
        #expect(Facts.osRelease("ID=debian\nPRETTY_NAME=\"Debian 12\"\n")["PRETTY_NAME"] == "Debian 12")
        #expect(Facts.meminfo("MemTotal:  2048 kB\n")["MemTotal"] == 2_097_152)
        let routes =
            "Iface\tDest\neth1\t0001A8C0\t0\t1\t0\t0\t0\t00FFFFFF\neth0\t00000000\t0102A8C0\t3\t0\t0\t0\t00000000\n"
        #expect(Facts.defaultInterface(routes) == "eth0")
    }
}
