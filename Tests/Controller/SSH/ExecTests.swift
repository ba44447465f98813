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

    @Test func `a command killed by a signal has no status`() async throws {
        let session = try await Sshd().connect()
        let output = try await session.exec("kill -9 $$")
        #expect(output.exitStatus == nil)
        #expect(output.exitSignal == "KILL")
    }

    @Test func `a flood of stderr is drained and capped`() async throws {
        let session = try await Sshd().connect()
        let output = try await session.exec("head -c 30000000 /dev/zero >&2; echo the end >&2; echo done")
        #expect(output.stdoutText == "done\n")
        #expect(output.stderr.count == 64 << 10)
        #expect(output.stderrText.hasSuffix("the end\n"))
        let stream = try await session.openStream("head -c 30000000 /dev/zero >&2; cat")
        try await stream.write(Array("hello".utf8))
        #expect(try await stream.read(deadline: .seconds(20)) == Array("hello".utf8))
        #expect(await stream.stderr().count == 64 << 10)
    }

    @Test func `stdout beyond its cap is dropped, not waited for`() async throws {
        let session = try await Sshd().connect()
        let output = try await session.exec("head -c 20000000 /dev/zero; exit 3", stdoutLimit: 1000)
        #expect(output.stdout.count == 1000)
        #expect(output.stdoutTruncated)
        #expect(output.exitStatus == 3)
    }

    @Test func `a file goes up through stdin, whole or in pieces`() async throws {
        let server = try await Sshd()
        let session = try await server.connect()
        let data = (0..<14_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let target = server.scratch.path("upload")
        let output = try await session.exec("cat > \(target) && wc -c < \(target)", input: .bytes(data))
        #expect(output.stdoutText == "14000000\n")
        #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == Data(data))
        let pieces = Pieces()
        let counted = try await session.exec("wc -c", input: .chunks { await pieces.next() })
        #expect(counted.stdoutText == "5000000\n")
        // A command that does not read, one that stops reading, and an echo that fills both directions.
        #expect(try await session.exec("exit 5", input: .bytes(data)).exitStatus == 5)
        #expect(try await session.exec("head -c 10", input: .bytes(data)).stdout == Array(data.prefix(10)))
        #expect(try await session.exec("cat", input: .bytes(data)).stdout == data)
    }

    private actor Pieces {
        var left = 50
        func next() -> [UInt8]? {
            left -= 1
            return left >= 0 ? [UInt8](repeating: 1, count: 100_000) : nil
        }
    }

    @Test func `ten megabytes go both ways on a stream at once`() async throws {
        let session = try await Sshd().connect()
        let stream = try await session.openStream("cat")
        let data = (0..<10_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        async let writing: Void = {
            try await stream.write(data)
            try await stream.finishWriting()
        }()
        var back: [UInt8] = []
        while let bytes = try await stream.read(deadline: .seconds(30)) { back += bytes }
        try await writing
        #expect(back == data)
        await stream.close()
        await stream.close()
        #expect(await failure { _ = try await stream.read() }.code == .sshDisconnected)
    }

    @Test func `several streams of one session write at once`() async throws {
        let session = try await Sshd().connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for byte in UInt8(0)..<4 {
                group.addTask {
                    let data = [UInt8](repeating: byte, count: 2_000_000)
                    let output = try await session.exec("cat", input: .bytes(data))
                    #expect(output.stdout == data)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `a cancelled or late request leaves the session usable`() async throws {
        let session = try await Sshd().connect()
        let task = Task { try await session.exec("sleep 30") }
        try await Task.sleep(for: .milliseconds(300))
        task.cancel()
        let start = ContinuousClock.now
        #expect(await failure { _ = try await task.value }.code == .cancelled)
        #expect(
            await failure { _ = try await session.exec("sleep 30", deadline: .milliseconds(300)) }.code == .sshTimedOut)
        #expect(.now - start < .seconds(25), "it waited for the command")
        let stream = try await session.openStream("cat")
        #expect(await failure { _ = try await stream.read(deadline: .milliseconds(200)) }.code == .sshTimedOut)
        try await stream.write([1, 2, 3])
        #expect(try await stream.read() == [1, 2, 3])
        #expect(try await session.exec("echo fine").stdoutText == "fine\n")
    }

    @Test func `an eleventh channel is refused with a hint, and the session goes on`() async throws {
        let session = try await Sshd().connect()
        var streams: [SSHStream] = []
        for _ in 0..<10 { streams.append(try await session.openStream("cat")) }
        let error = await failure { _ = try await session.openStream("cat") }
        #expect(error.code == .sshChannelRefused)
        #expect(error.hint?.contains("MaxSessions") == true)
        await streams.removeLast().close()
        // sshd counts a channel until its command has ended.
        for attempt in 1... {
            if let output = try? await session.exec("echo again") {
                #expect(output.stdoutText == "again\n")
                break
            }
            try #require(attempt < 100)
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    @Test func `a server that changes keys in mid-stream loses nothing`() async throws {
        let session = try await Sshd(extra: ["RekeyLimit 1M"]).connect()
        let data = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 1) }
        #expect(try await session.exec("cat", input: .bytes(data)).stdout == data)
    }
}
