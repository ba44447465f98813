import BasculeModel
import Testing

@testable import BasculeConducting

@Suite struct TokenFileTests {
    private static let hostKey =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    private static let canary = "b3BlbnNzaC1rZXktdjEAAAAAcanary"
    private static let file = TokenFile(
        fleet: "myshop", token: "ci-1", app: "shop",
        key: "-----BEGIN OPENSSH PRIVATE KEY-----\n\(canary)\n-----END OPENSSH PRIVATE KEY-----\n",
        nodes: [.init(name: "vps1", host: "203.0.113.10", port: 22, hostKeys: [hostKey])])

    @Test func whatWasWrittenIsRead() throws {
        #expect(try TokenFile(parsing: Self.file.encoded(), path: "x") == Self.file)
    }

    @Test(arguments: [
        "version", "token", "app", "key", "none", "host", "port", "no-host-key", "host-key",
    ])
    func whatIsWrongIsRefusedWithoutAWordOfTheKey(_ what: String) throws {
        var file = Self.file
        switch what {
        case "version": file.version = 2
        case "token": file.token = "ci 1"
        case "app": file.app = ""
        case "key": file.key = Self.canary
        case "none": file.nodes = []
        case "host": file.nodes[0].host = ""
        case "port": file.nodes[0].port = 70_000
        case "no-host-key": file.nodes[0].hostKeys = []
        default: file.nodes[0].hostKeys = ["ssh-ed25519 nothing"]
        }
        let error = #expect(throws: BasculeError.self) { try TokenFile(parsing: file.encoded(), path: "ci.token") }
        #expect(error?.code == .invalidInput)
        #expect(!"\(String(describing: error))".contains("canary"))
    }

    @Test(arguments: ["", "{}", "fleet: x", "[1,2"]) func whatIsNoTokenIsRefused(_ text: String) {
        let error = #expect(throws: BasculeError.self) { try TokenFile(parsing: Array(text.utf8), path: "x") }
        #expect(error?.code == .invalidInput)
    }
}
