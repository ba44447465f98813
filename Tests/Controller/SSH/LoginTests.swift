import BasculeModel
import BasculeSSH
import Foundation
import Synchronization
import Testing

@Suite struct LoginTests {
    /// Logs in with what `identities` says and proves it by running a command.
    private func works(_ server: Sshd, _ identities: [SSHIdentity], passphrase: SSHPassphrase? = nil) async throws {
        let login = try server.login(identities, passphrase: passphrase)
        let session = try await SSHSession.connect(to: server.endpoint, login: login)
        #expect(try await session.exec("echo $((6*7))").stdoutText == "42\n")
        await session.close()
    }

    private func refusal(_ server: Sshd, _ identities: [SSHIdentity], passphrase: SSHPassphrase? = nil) async
        -> BasculeError
    {
        await failure {
            let login = try server.login(identities, passphrase: passphrase)
            _ = try await SSHSession.connect(to: server.endpoint, login: login)
        }
    }

    @Test(arguments: [("ed25519", nil), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")] as [(String, String?)])
    func `Ed25519 and ECDSA keys log in`(_ type: String, _ bits: String?) async throws {
        let server = try await Sshd()
        let key = try server.scratch.key("k", type: type, bits: bits)
        try server.authorise("k")
        try await works(server, [.keyFile(path: key)])
        let text = try String(contentsOfFile: key, encoding: .utf8)
        try await works(server, [.key(Secret(text), name: "the fleet key")])
    }

    @Test(arguments: [("ed25519", nil), ("ecdsa", "256")] as [(String, String?)])
    func `an encrypted key asks for its passphrase, three times at most`(_ type: String, _ bits: String?) async throws {
        let server = try await Sshd()
        let key = try server.scratch.key("locked", type: type, bits: bits, passphrase: "correct horse")
        try server.authorise("locked")
        try await works(server, [.keyFile(path: key)]) { name, attempt in
            #expect(name == key)
            return Secret(attempt == 2 ? "correct horse" : "wrong")
        }
        let none = await refusal(server, [.keyFile(path: key)])
        #expect(none.code == .sshPassphraseNeeded)
        #expect(none.hint == "give its passphrase, or load it into an ssh-agent with ssh-add")
        let wrong = await refusal(server, [.keyFile(path: key)]) { _, _ in Secret("wrong") }
        #expect(wrong.code == .sshPassphraseNeeded)
        #expect(wrong.message == "none of three passphrases opens the private key")
    }

    @Test func `nobody is asked for the passphrase of a key that the server does not want`() async throws {
        let server = try await Sshd()
        let key = try server.scratch.key("locked", passphrase: "correct horse")
        let asked = Mutex(0)
        let error = await refusal(server, [.keyFile(path: key)]) { _, _ in
            asked.withLock { $0 += 1 }
            return Secret("correct horse")
        }
        #expect(error.code == .sshAuthFailed)
        #expect(asked.withLock { $0 } == 0)
    }

    @Test func `an RSA key is refused with the way out`() async throws {
        let server = try await Sshd()
        let error = await refusal(server, [.keyFile(path: try server.scratch.key("rsa", type: "rsa", bits: "2048"))])
        #expect(error.code == .sshRSAUnsupported)
        #expect(error.hint == "use an Ed25519 key (ssh-keygen -t ed25519) and add its public half to authorized_keys")
        try run("/usr/bin/ssh-keygen", ["-q", "-p", "-m", "PKCS8", "-N", "", "-f", server.scratch.path("rsa")])
        #expect(await refusal(server, [.keyFile(path: server.scratch.path("rsa"))]).code == .sshRSAUnsupported)
    }

    @Test func `a FIDO key is refused with the way out`() async throws {
        // The public half is enough to tell: string "sk-ssh-ed25519@openssh.com" in an openssh-key-v1 envelope.
        func string(_ bytes: [UInt8]) -> [UInt8] { [0, 0, 0, UInt8(bytes.count)] + bytes }
        let blob = string(Array("sk-ssh-ed25519@openssh.com".utf8)) + string([UInt8](repeating: 1, count: 32))
        let none = string(Array("none".utf8))
        let body = Array("openssh-key-v1\0".utf8) + none + none + string([]) + [0, 0, 0, 1] + string(blob)
        let text =
            "-----BEGIN OPENSSH PRIVATE KEY-----\n\(Data(body).base64EncodedString())\n"
            + "-----END OPENSSH PRIVATE KEY-----\n"
        let server = try await Sshd()
        let error = await refusal(server, [.key(Secret(text), name: "sk")])
        #expect(error.code == .sshKeyUnsupported)
        #expect(error.message == "FIDO security keys do not work with libssh2 1.10")
        #expect(error.hint?.contains("Ed25519") == true)
    }

    @Test func `identities are tried in order and each refusal is named`() async throws {
        let server = try await Sshd()
        let stranger = try server.scratch.key("stranger")
        let rsa = try server.scratch.key("rsa", type: "rsa", bits: "2048")
        let all: [SSHIdentity] = [
            .keyFile(path: "/nonexistent"), .keyFile(path: rsa), .keyFile(path: stranger),
            .keyFile(path: server.scratch.path("user")),
        ]
        try await works(server, all)
        let error = await refusal(server, Array(all.dropLast()))
        #expect(error.code == .sshAuthFailed)
        #expect(error.message == "the server accepts no identity for user \(Sshd.user)")
        #expect(error.cause?.contains("/nonexistent: the private key cannot be read") == true)
        #expect(error.cause?.contains("\(stranger): the server does not accept this key") == true)
        #expect(await refusal(server, []).code == .sshAuthFailed)
    }

    @Test func `what is not a private key says so`() async throws {
        let server = try await Sshd()
        let publicHalf = await refusal(server, [.keyFile(path: server.scratch.path("user.pub"))])
        #expect(publicHalf.code == .sshKeyUnreadable)
        #expect(publicHalf.hint == "this is a public key; name the private half, the file without .pub")
        #expect(await refusal(server, [.keyFile(path: "/nonexistent")]).code == .sshKeyUnreadable)
        #expect(await refusal(server, [.key(Secret("hello"), name: "x")]).code == .sshKeyUnreadable)
    }

    @Test func `an ssh-agent signs for us`() async throws {
        let server = try await Sshd()
        let socket = server.scratch.path("agent")
        let agent = try Child("/usr/bin/ssh-agent", ["-D", "-a", socket])
        defer { agent.stop() }
        while !FileManager.default.fileExists(atPath: socket) { try await Task.sleep(for: .milliseconds(10)) }
        let environment = ["SSH_AUTH_SOCK": socket]
        #expect(await refusal(server, [.agent(socket: socket)]).code == .sshAgentFailed)
        for name in ["rsa", "stranger", "ecdsa"] {
            let key = try server.scratch.key(name, type: name == "stranger" ? "ed25519" : name)
            try run("/usr/bin/ssh-add", ["-q", key], environment: environment)
            if name == "rsa" { #expect(await refusal(server, [.agent(socket: socket)]).code == .sshRSAUnsupported) }
        }
        #expect(await refusal(server, [.agent(socket: socket)]).code == .sshAuthFailed)
        try server.authorise("ecdsa")
        try await works(server, [.agent(socket: socket)])
        try run("/usr/bin/ssh-add", ["-q", server.scratch.path("user")], environment: environment)
        try await works(server, [.agent(socket: socket)])
        agent.stop()
        let gone = await refusal(server, [.agent(socket: socket)])
        #expect(gone.code == .sshAgentFailed)
        #expect(gone.message == "the ssh-agent cannot be reached")
    }

    @Test func `too many keys end in a failed login, not in a broken connection`() async throws {
        let server = try await Sshd(extra: ["MaxAuthTries 2"])
        let keys = try (0..<4).map { SSHIdentity.keyFile(path: try server.scratch.key("k\($0)")) }
        let error = await refusal(server, keys)
        #expect(error.code == .sshAuthFailed)
        #expect(error.cause?.contains("the SSH connection broke") == true)
    }
}
