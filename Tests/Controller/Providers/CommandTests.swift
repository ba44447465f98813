import BasculeModel
import Glibc
import Synchronization
import Testing

@testable import BasculeProviders

@Suite struct CommandTests {
    @Test func returnsStatusAndBothOutputs() async throws {
        let result = try await Command.run(["sh", "-c", "cat; echo bad >&2; exit 3"], stdin: Array("in".utf8))
        #expect(result == CommandResult(status: 3, stdout: Array("in".utf8), stderr: Array("bad\n".utf8)))
        let error = #expect(throws: BasculeError.self) { try result.requireSuccess("trying") }
        #expect(error?.code == .commandFailed && error?.cause == "bad")
        #expect(try await Command.run(["sh", "-c", "kill -9 $$"]).status == 137)
    }

    @Test func passesMoreThanAPipeHolds() async throws {
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try await Command.run(["cat"], stdin: bytes).stdout == bytes)
        #expect(try await Command.run(["cat"], stdin: bytes, limit: 1000).stdout == Array(bytes[..<1000]))
    }

    @Test func survivesAChildThatReadsNothing() async throws {
        #expect(try await Command.run(["true"], stdin: [UInt8](repeating: 1, count: 1 << 20)).status == 0)
    }

    @Test func addsAndRemovesVariables() async throws {
        let result = try await Command.run(
            ["sh", "-c", "echo $LAB_TEST ${HOME-none}"], environment: ["LAB_TEST": "yes", "HOME": nil])
        #expect(result.text == "yes none\n")
    }

    @Test func namesAProgramThatDoesNotExist() async {
        let error = await #expect(throws: BasculeError.self) { try await Command.run(["no-such-program-here"]) }
        #expect(error?.code == .unsupported)
        #expect(!Command.exists("no-such-program-here") && Command.exists("sh"))
    }

    @Test func aDeadlineEndsTheWholeGroup() async throws {
        let clock = ContinuousClock.now
        let error = await #expect(throws: BasculeError.self) {
            try await Command.run(["sh", "-c", "trap '' TERM; sleep 30 & wait"], deadline: .milliseconds(200))
        }
        #expect(error?.code == .timedOut)
        #expect(ContinuousClock.now - clock < .seconds(10))
    }

    @Test func cancellingEndsTheChild() async throws {
        let pid = Mutex<Int32?>(nil)
        let task = Task {
            try await Command.run(["sh", "-c", "echo $$; exec sleep 30"]) { bytes in
                pid.withLock { $0 = Int32(String(decoding: bytes, as: UTF8.self).filter(\.isNumber)) }
            }
        }
        while pid.withLock({ $0 }) == nil { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        let error = await #expect(throws: BasculeError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(ProcessIdentity(pid: pid.withLock { $0 } ?? 0) == nil)
    }

    @Test func aDaemonThatKeepsThePipesDoesNotHoldUsUp() async throws {
        let clock = ContinuousClock.now
        let result = try await Command.run(["sh", "-c", "sleep 3 & echo done"])
        #expect(result.text == "done\n")
        #expect(ContinuousClock.now - clock < .seconds(2))
    }

    @Test func theChildInheritsNothing() async throws {
        let leak = dup(0)  // Without close-on-exec, as a careless library opens it.
        defer { close(leak) }
        let result = try await Command.run(["sh", "-c", "ls /proc/$$/fd"])
        #expect(result.text.split(separator: "\n") == ["0", "1", "2"])
    }

    @Test func locksExcludeEachOther() async throws {
        let path = "/tmp/bascule-lock-test-\(getpid())"
        defer { unlink(path) }
        let outcome = try await FileLock.with(path) { () -> (Bool, ErrorCode?) in
            let second = try await FileLock.tryWith(path) { true } ?? false
            do {
                try await FileLock.with(path, patience: .milliseconds(50)) {}
                return (second, nil)
            } catch let error as BasculeError { return (second, error.code) }
        }
        #expect(outcome == (false, .labBusy))
        #expect(try await FileLock.tryWith(path) { true } == true)
    }
}
