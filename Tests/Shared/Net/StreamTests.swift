import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

/// The error that a piece of work ends with; a failed expectation if it ends well.
func failure(of work: () throws -> Void) -> BasculeError? {
    do {
        try work()
        Issue.record("It should have failed")
        return nil
    } catch {
        return error as? BasculeError
    }
}

@Suite struct StreamTests {
    @Test func carriesBytesBothWaysAtOnce() throws {
        let scratch = try Scratch()
        let server = try serve(scratch, "echo")
        let stream = try TCPStream.connect(
            to: .host("localhost", port: server.port), deadline: .seconds(5))
        #expect(stream.address?.isIPv4 == true)
        // More than all buffers together: writing and reading must go on at the same time.
        let sent = (0..<8_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let writer = Thread { try? stream.write(sent, deadline: .seconds(20)) }
        writer.start()
        #expect(try stream.read(exactly: sent.count, deadline: .seconds(20)) == sent)
    }

    @Test func speaksOverUnixSockets() throws {
        let scratch = try Scratch()
        let server = try serve(scratch, "unix", scratch.path + "/s")
        defer { server.stop() }
        let stream = try TCPStream.connect(to: .unix(path: scratch.path + "/s"), deadline: .seconds(5))
        try stream.write(Array("ping".utf8), deadline: .seconds(5))
        #expect(try stream.read(exactly: 4, deadline: .seconds(5)) == Array("ping".utf8))
        #expect(stream.address == nil)
    }

    @Test func keepsItsDeadline() throws {
        let scratch = try Scratch()
        let server = try serve(scratch, "silent")
        let stream = try TCPStream.connect(to: .host("127.0.0.1", port: server.port), deadline: .seconds(5))
        let start = Monotonic.now()
        let error = failure { _ = try stream.read(max: 1, deadline: .after(.milliseconds(200))) }
        #expect(error?.code == .timedOut)
        #expect(error?.message == "Could not receive before the deadline")
        let took = Monotonic.milliseconds(since: start)
        #expect(took >= 199 && took < 1500)
        // Nobody reads there: the socket buffers fill up and the write meets its deadline.
        let full = failure { try stream.write([UInt8](repeating: 0, count: 64 << 20), deadline: .seconds(1)) }
        #expect(full?.code == .timedOut)
    }

    @Test func closingWakesTheReader() throws {
        let scratch = try Scratch()
        let server = try serve(scratch, "silent")
        let stream = try TCPStream.connect(to: .host("127.0.0.1", port: server.port), deadline: .seconds(5))
        Thread {
            Monotonic.sleep(.milliseconds(100))
            stream.close()
        }.start()
        let start = Monotonic.now()
        #expect(failure { _ = try stream.read(max: 1, deadline: .seconds(30)) }?.code == .connectionClosed)
        #expect(Monotonic.milliseconds(since: start) < 5000)
    }

    @Test func saysWhyItCannotConnect() throws {
        let scratch = try Scratch()
        let server = try serve(scratch, "echo")
        server.stop()
        let refused = failure {
            _ = try TCPStream.connect(to: .host("127.0.0.1", port: server.port), deadline: .seconds(5))
        }
        #expect(
            refused?.description == """
                127.0.0.1:\(server.port): Could not connect [connect-failed]
                cause: Connection refused
                hint: Check that the service runs and listens on this address and port.
                """)
        let missing = failure { _ = try TCPStream.connect(to: .unix(path: "/nowhere/s"), deadline: .seconds(1)) }
        #expect(missing?.cause == "No such file or directory")
        let unknown = failure {
            _ = try TCPStream.connect(to: .host("no such name", port: 1), deadline: .seconds(1))
        }
        #expect(unknown?.code == .nameNotResolved)
        let long = failure {
            _ = try TCPStream.connect(
                to: .unix(path: String(repeating: "x", count: 108)), deadline: .seconds(1))
        }
        #expect(long?.code == .invalidInput)
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("1.2.3", nil),
        ("1.2.3.4 ", nil),
        ("", nil), ("host", nil),
    ])
    func readsAddresses(text: String, canonical: String?) {
        #expect(IPAddress(text)?.description == canonical)
    }
}
