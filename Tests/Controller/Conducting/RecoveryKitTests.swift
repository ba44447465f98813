import BasculeModel
import Testing

@testable import BasculeConducting

@Suite struct RecoveryKitTests {
    private let kit = RecoveryKit(
        fleet: "shop", recoveryKey: Secret(String(repeating: "ab", count: 32)),
        nodes: [
            .init(name: "vps1", host: "203.0.113.10", port: 22, user: "root", hostKeys: ["ssh-ed25519 AAAA"]),
            .init(
                name: "vps2", host: "2001:db8::1", port: 2222, user: "admin",
                hostKeys: ["ssh-ed25519 BBBB", "ecdsa-sha2-nistp256 CCCC"]),
        ])

    @Test func whatWasPrintedIsReadAgain() throws {
        let text = kit.text(date: "2026-11-21")
        #expect(try RecoveryKit(parsing: text) == kit)
        #expect(try RecoveryKit(parsing: text.replacing("\n", with: "\r\n") + "\nnotes: by hand\n") == kit)
        #expect(!"\(kit.recoveryKey)".contains("abab"))
    }

    @Test(arguments: [
        ("", "not a recovery kit"), ("Bascule recovery kit", "names no fleet"),
        ("Bascule recovery kit\nfleet: a\nrecovery-key: abcd", "not whole"),
    ])
    func whatIsNoKitIsRefused(text: String, word: String) {
        let error = #expect(throws: BasculeError.self) { try RecoveryKit(parsing: text) }
        #expect(error?.code == .invalidInput && error?.message.contains(word) == true)
    }

    @Test(arguments: ["node: a b", "node: a b 99999 root", "host-key: nobody ssh-ed25519 AAAA"])
    func aDamagedLineIsNamed(line: String) {
        let error = #expect(throws: BasculeError.self) {
            try RecoveryKit(parsing: kit.text(date: "x") + line + "\n")
        }
        #expect(error?.message.contains(line) == true)
    }
}
