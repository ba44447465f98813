import BasculeModel
import BasculeSSH
import Foundation
import Synchronization
import Testing

@Suite struct HostKeyTests {
    private func key(_ type: String, _ byte: UInt8) throws -> HostKey {
        let name = Array(type.utf8)
        let wire = [0, 0, 0, UInt8(name.count)] + name + [0, 0, 0, 32] + [UInt8](repeating: byte, count: 32)
        return try HostKey(line: "\(type) \(Data(wire).base64EncodedString()) someone@somewhere")
    }

    @Test func `the decision over a presented key is a table`() throws {
        let (a, b, other) = (try key("ssh-ed25519", 1), try key("ssh-ed25519", 2), try key("ecdsa-sha2-nistp256", 3))
        let table: [(pins: [HostKey], revoked: [HostKey], HostKeyDecision)] = [
            ([], [], .unknown), ([a], [], .trusted), ([other, b, a], [], .trusted),
            ([b], [], .changed(expected: [b])), ([b, other], [], .changed(expected: [b])),
            ([other], [], .changedType(expected: [other])), ([a], [a], .revoked), ([], [a], .revoked),
            ([b], [a], .revoked), ([a], [b], .trusted),
        ]
        for (pins, revoked, expected) in table {
            #expect(HostKeyDecision.decide(presented: a, pins: pins, revoked: revoked) == expected)
        }
    }

    @Test func `a key line is read exactly, and anything else refused`() throws {
        let good = try key("ssh-ed25519", 7)
        #expect(try HostKey(line: good.line) == good)
        for line in ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa \(good.blob)", "ssh-ed25519 AAAA", good.blob] {
            #expect(throws: BasculeError.self) { try HostKey(line: line) }
        }
    }

    @Test func `fingerprints are those of ssh-keygen`() throws {
        let scratch = try Scratch()
        for type in ["ed25519", "ecdsa", "rsa"] {
            _ = try scratch.key(type, type: type)
            let theirs = try run("/usr/bin/ssh-keygen", ["-l", "-f", scratch.path(type)])
            #expect(theirs.split(separator: " ")[1] == (try scratch.publicKey(type).fingerprint))
        }
    }

    /// Connects with a policy that must refuse, and proves that no key was offered to the server.
    private func refusal(_ server: Sshd, _ policy: HostKeyPolicy) async -> BasculeError {
        let error = await failure {
            _ = try await SSHSession.connect(to: server.endpoint, login: server.login(hostKeys: policy))
        }
        #expect(!server.log.contains("publickey"), "authentication had begun")
        return error
    }

    @Test func `a changed key stops before the login, with both fingerprints`() async throws {
        let server = try await Sshd(extra: ["LogLevel DEBUG1"])
        _ = try server.scratch.key("old")
        let (old, new) = (try server.scratch.publicKey("old"), try server.scratch.publicKey("host_ed25519"))
        let error = await refusal(server, .pinned([old]))
        #expect(error.code == .sshHostKeyChanged)
        #expect(error.message == "the host presents the key \(new), but \(old) is pinned")
    }

    @Test func `a key of another type stops before the login, with both fingerprints`() async throws {
        let server = try await Sshd(hostKeys: ["ecdsa"], extra: ["LogLevel DEBUG1"])
        _ = try server.scratch.key("old")
        let (old, new) = (try server.scratch.publicKey("old"), try server.scratch.publicKey("host_ecdsa"))
        let error = await refusal(server, .pinned([old]))
        #expect(error.code == .sshHostKeyChanged)
        #expect(error.message == "the host presents a key of another type, \(new), but \(old) is pinned")
    }

    @Test func `a revoked key stops before the login, pinned or not`() async throws {
        let server = try await Sshd(extra: ["LogLevel DEBUG1"])
        let key = try server.scratch.publicKey("host_ed25519")
        #expect(await refusal(server, .pinned([key], revoked: [key])).code == .sshHostKeyRevoked)
        #expect(await refusal(server, .accept(key.fingerprint, revoked: [key])).code == .sshHostKeyRevoked)
        let asked = await refusal(server, .firstContact(revoked: [key]) { _ in true })
        #expect(asked.code == .sshHostKeyRevoked)
    }

    @Test func `the pinned type is the one that is asked for`() async throws {
        let server = try await Sshd()
        let pin = try server.scratch.publicKey("host_ecdsa")
        let session = try await SSHSession.connect(to: server.endpoint, login: server.login(hostKeys: .pinned([pin])))
        #expect(await session.hostKey == pin)
    }

    @Test func `first contact asks, and remembers nothing by itself`() async throws {
        let server = try await Sshd()
        let key = try server.scratch.publicKey("host_ed25519")
        let shown = Mutex<[HostKey]>([])
        let session = try await SSHSession.connect(
            to: server.endpoint,
            login: server.login(
                hostKeys: .firstContact {
                    key in
                    shown.withLock { $0.append(key) }
                    return true
                }))
        #expect(shown.withLock { $0 } == [key])
        #expect(await session.hostKey == key)
    }

    @Test func `no, a wrong fingerprint and no policy all end before the login`() async throws {
        let server = try await Sshd(extra: ["LogLevel DEBUG1"])
        let key = try server.scratch.publicKey("host_ed25519")
        #expect(await refusal(server, .firstContact { _ in false }).code == .sshHostKeyUnknown)
        #expect(await refusal(server, .accept("SHA256:nonsense")).code == .sshHostKeyUnknown)
        let error = await refusal(server, .pinned([]))
        #expect(error.code == .sshHostKeyUnknown)
        #expect(error.message == "the host's key \(key) is not known")
        let session = try await SSHSession.connect(
            to: server.endpoint, login: server.login(hostKeys: .accept(key.fingerprint)))
        #expect(await session.hostKey == key)
        #expect(server.log.contains("publickey"), "the log would not have shown an authentication")
    }

    @Test func `a host with RSA keys only, and one with encrypt-then-MAC only, are named as such`() async throws {
        let rsa = try await Sshd(hostKeys: ["rsa"])
        let onlyRSA = await refusal(rsa, .pinned([]))
        #expect(onlyRSA.code == .sshRSAUnsupported)
        #expect(onlyRSA.hint?.contains("Ed25519") == true)

        let etm = try await Sshd(extra: ["MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com"])
        let onlyETM = await refusal(etm, .pinned([]))
        #expect(onlyETM.code == .sshNoCommonAlgorithm)
        #expect(onlyETM.message == "no MAC in common with the server")
        #expect(
            onlyETM.hint
                == "the server allows encrypt-then-MAC only; add hmac-sha2-512,hmac-sha2-256 to MACs in its sshd_config"
        )
    }

    @Test(arguments: [
        ("Ciphers 3des-cbc,aes128-cbc", "no cipher in common with the server"),
        ("MACs hmac-md5,hmac-sha1", "no MAC in common with the server"),
        ("KexAlgorithms diffie-hellman-group14-sha1", "no key exchange in common with the server"),
    ])
    func `weak algorithms are refused`(_ setting: String, _ message: String) async throws {
        let server = try await Sshd(extra: [setting])
        let error = await refusal(server, .pinned([]))
        #expect(error.code == .sshNoCommonAlgorithm)
        #expect(error.message == message)
    }
}
