import BasculeModel
import BasculeSSH
import Foundation
import Testing

@Suite struct ExecTests {
    @Test func `a command's output, stderr and status come back`() async throws {
        let server = try await Sshd()
        let session = try await server.connect()
        let output = try await session.exec("echo out; echo err >&2; exit 7")
        #expect(output.stdoutText == "out\n")
        #expect(output.stderrText == "err\n")
        #expect(output.exitStatus == 7)
        #expect(output.exitSignal == nil)
        #expect(await session.hostKey == (try server.scratch.publicKey("host_ed25519")))
        await session.close()
        #expect(await failure { _ = try await session.exec("true") }.code == .sshDisconnected)
    }
}
