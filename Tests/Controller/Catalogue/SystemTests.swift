import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// `services.system`: what it puts on a node, and what it refuses.
@Suite struct SystemTests {
    private func fleet(_ system: String, node: String = "{provider: lab, image: debian12}", more: String = "") -> String
    {
        """
        fleet: sys
        nodes:
          vps1: \(node)
        topologies:
          single: {vps1: [web]}
        topology: single
        services:
          system: \(system)
        \(more)
        """
    }

    private func sshd(_ system: String, node: String = "{provider: lab, image: debian12}") throws -> String {
        try CatalogueFolder().compile(fleet(system, node: node))
            .text("/etc/ssh/sshd_config.d/20-bascule-hardening.conf")
    }

    @Test func aNodeIsLeftAsItIsUnlessTheSystemIsDeclared() throws {
        let bare = fleet("{}").replacing("  system: {}", with: "  nginx: {}")
        let ids = try CatalogueFolder().compile(bare).resources["vps1"]?.map(\.id.rawValue) ?? []
        #expect(!ids.contains { $0.contains("sshd") || $0.contains("fail2ban") || $0.contains("sysctl") })
    }

    /// Each list must keep what libssh2 1.10 can do, or nothing manages the node any more.
    @Test(arguments: [DebianRelease.bookworm, .trixie]) func theControllerCanStillLogIn(_ release: DebianRelease) throws
    {
        let text = try CatalogueFolder().compile(fleet("{}")) { $0.releases = ["vps1": release] }
            .text("/etc/ssh/sshd_config.d/20-bascule-hardening.conf")
        func list(_ key: String) -> [String] {
            let line = text.split(separator: "\n").first { $0.hasPrefix("\(key) ") }
            return line?.split(separator: " ").last?.split(separator: ",").map(String.init) ?? []
        }
        #expect(list("KexAlgorithms").contains("curve25519-sha256"))
        #expect(list("KexAlgorithms").contains("mlkem768x25519-sha256") == (release == .trixie))
        #expect(list("Ciphers").contains("aes256-ctr"))
        #expect(list("MACs").contains("hmac-sha2-512"))
        #expect(list("HostKeyAlgorithms") == ["ssh-ed25519"])
        #expect(text.contains("\nAllowUsers bascule root\n"))
    }

    @Test(arguments: [
        ("{}", ["AllowUsers bascule root", "PermitRootLogin prohibit-password", "Match User root"], []),
        ("{ssh: {root: false}}", ["AllowUsers bascule\n", "PermitRootLogin no"], ["Match User"]),
        (
            "{users: {ann: {keys: [\"ssh-ed25519 QUJD\"]}}, ssh: {allow: [ci], tunnels: false}}",
            ["AllowUsers bascule ann root ci\n"], ["Match User"]
        ),
        ("{users: {ann: {keys: [\"ssh-ed25519 QUJD\"]}}}", ["Match User ann,root\n    AllowTcpForwarding local"], []),
    ])
    func whoMayLogIn(_ system: String, _ has: [String], _ hasNot: [String]) throws {
        let text = try sshd(system)
        for part in has { #expect(text.contains(part), "\(text)") }
        for part in hasNot { #expect(!text.contains(part), "\(text)") }
    }

    @Test func aPinnedHostKeyOfAnotherTypeStays() throws {
        let text = try sshd(
            "{}", node: "{address: 203.0.113.9, user: admin, hostKey: \"ecdsa-sha2-nistp256 QUJD\"}")
        #expect(text.contains("HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256\n"))
        #expect(text.contains("HostKey /etc/ssh/ssh_host_ecdsa_key\n"))
        #expect(text.contains("AllowUsers bascule admin root\n"))
    }

    @Test(arguments: [
        ("{users: {root: {keys: [\"ssh-ed25519 QUJD\"]}}}", "root is no account of a person"),
        ("{users: {ann: {keys: []}}}", "ann has no key"),
    ])
    func isRefused(_ system: String, _ message: String) throws {
        let error = try #require(try CatalogueFolder().error(fleet(system)))
        #expect(error.message.contains(message), "\(error)")
        #expect(error.hint != nil)
    }

    @Test func anAdministratorHasAnAccountKeysAndSudo() throws {
        let compiled = try CatalogueFolder().compile(fleet("{users: {ann: {keys: [\"ssh-ed25519 QUJD a\"]}}}"))
        #expect(compiled.text("/home/ann/.ssh/authorized_keys").hasSuffix("\nssh-ed25519 QUJD a\n"))
        #expect(compiled.text("/etc/sudoers.d/bascule-ann").contains("ann ALL=(ALL:ALL) NOPASSWD: ALL\n"))
        guard case .user(let account)? = compiled.find("user:ann")?.resource else {
            Issue.record("no account")
            return
        }
        #expect(account.createHome && account.shell == "/bin/bash")
    }

    @Test(arguments: [(1 << 30, 1024), (2 << 30, 2048), (16 << 30, 2048)])
    func swapFollowsMemory(_ memory: Int, _ mebibytes: Int) throws {
        let compiled = try CatalogueFolder().compile(fleet("{}")) { $0.memory = ["vps1": memory] }
        #expect(
            compiled.unit("bascule-swap.service")?.content?.display.contains("swap-file on \(mebibytes)\n") == true)
    }

    @Test func everyPartCanBeSwitchedOff() throws {
        let compiled = try CatalogueFolder().compile(
            fleet("{bans: off, upgrades: off, time: off, swap: off, integrity: false, accounting: false}"))
        let ids = compiled.resources["vps1"]?.map(\.id.rawValue) ?? []
        for word in ["fail2ban", "unattended", "chrony", "swap.service", "aide", "debsums", "reboot", "acct"] {
            #expect(!ids.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test func theControllerIsNeverBanned() throws {
        let compiled = try CatalogueFolder().compile(fleet("{bans: {never: [198.51.100.0/24]}}"))
        let jail = compiled.text("/etc/fail2ban/jail.local")
        #expect(jail.contains("\nignorecommand = /usr/local/lib/bascule/known-address <ip>\n"))
        #expect(jail.contains("\nignoreip = 127.0.0.1/8 ::1 198.51.100.0/24\n"))
        guard case .file(let tool)? = compiled.find("file:/usr/local/lib/bascule/known-address")?.resource else {
            Issue.record("no tool")
            return
        }
        #expect(tool.permissions.mode == 0o755)
    }

    @Test func aKernelSettingOfOnesOwnWins() throws {
        let compiled = try CatalogueFolder().compile(fleet("{kernel: {vm.swappiness: 5, net.core.rmem_max: 1}}"))
        func value(_ key: String) -> String? {
            if case .sysctl(let spec)? = compiled.find("sysctl:\(key)")?.resource { spec.value } else { nil }
        }
        #expect(value("vm.swappiness") == "5" && value("net.core.rmem_max") == "1")
        #expect(value("kernel.sysrq") == "0")
    }

    /// An app that is built on the node needs whatever compilers there are.
    @Test(arguments: [("", "root"), ("build: [\"npm ci\"], ", "all")])
    func compilersAreRootsUnlessAnAppIsBuilt(_ build: String, _ who: String) throws {
        let app = "apps: {shop: {source: {path: ./shop}, \(build)start: node server.js, port: 3000}}"
        let text = fleet("{}", more: app).replacing("[web]", with: "[app]")
        let compiled = try CatalogueFolder(["shop/server.js": ""]).compile(text)
        guard case .command(let spec)? = compiled.find("command:compilers")?.resource else {
            Issue.record("no command")
            return
        }
        #expect(spec.command.last == who && spec.unless.suffix(2) == [who, "check"])
    }

    @Test func theBaseSystemHasItsShareOfMemoryEverywhere() throws {
        let compiled = try CatalogueFolder().compile(fleet("{}"))
        #expect(compiled.memory.contains { $0.service == "system" && $0.node == "vps1" && $0.bytes == 192 << 20 })
    }

    @Test(arguments: ["04:30", "Sun 04:30", "Mon,Thu 23:59"]) func windowsAreRead(_ text: String) throws {
        let compiled = try CatalogueFolder().compile(fleet("{upgrades: {reboot: \"\(text)\"}}"))
        #expect(
            compiled.unit("bascule-reboot.timer")?.content?.display.contains("OnCalendar=\(text)\n") == true)
    }

    @Test(arguments: ["24:00", "Sunday 04:30", "04:30 Sun", "4:30", "Sun  04:30"])
    func otherWindowsAreNot(_ text: String) throws {
        #expect(throws: (any Error).self) {
            try CatalogueFolder().compile(fleet("{upgrades: {reboot: \"\(text)\"}}"))
        }
    }
}
