import BasculeModel
import Glibc
import Testing

@testable import BasculeResources

@Suite struct SubprocessTests {
    @Test func passesInputOutputAndStatus() throws {
        let bytes = [UInt8](repeating: 65, count: 300_000)
        #expect(try Subprocess.run(["cat"], .init(stdin: bytes)).stdout == bytes)
        let outcome = try Subprocess.run(["sh", "-c", "echo a; echo b >&2; exit 7"])
        #expect(outcome.status == 7)
        #expect(outcome.text == "a\n")
        #expect(Set(outcome.tail) == ["a", "b"])
    }

    @Test func passesNothingOfTheAgentsEnvironment() throws {
        setenv("BASCULE_TEST_SECRET", "x", 1)
        let text = try Subprocess.run(["env"], .init(environment: ["EXTRA": "1"])).text
        #expect(!text.contains("BASCULE_TEST_SECRET"))
        #expect(text.contains("EXTRA=1") && text.contains("PATH=/usr/local/sbin"))
    }

    @Test func runsAsAnotherUserInADirectory() throws {
        let outcome = try Subprocess.run(["sh", "-c", "id -un; id -gn; pwd"], .init(user: "nobody", directory: "/usr"))
        #expect(outcome.text == "nobody\nnogroup\n/usr\n")
    }

    @Test func deadlineEndsTheWholeGroup() throws {
        let start = ContinuousClock.now
        let error = #expect(throws: BasculeError.self) {
            try Subprocess.run(
                ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"], .init(deadline: .milliseconds(300)))
        }
        #expect(error?.code == .timedOut)
        #expect(ContinuousClock.now - start < .seconds(5))
        let child = error?.cause.flatMap { pid_t($0) } ?? 0
        #expect(child > 0)
        usleep(50_000)
        let state = try AtomicFile.read("/proc/\(child)/stat").map { String(decoding: $0, as: UTF8.self) }
        #expect(state == nil || state?.contains(") Z ") == true)
    }

    @Test func aDaemonThatKeepsThePipesHoldsNobodyUp() throws {
        let start = ContinuousClock.now
        let outcome = try Subprocess.run(["sh", "-c", "sleep 5 & echo started $!"])
        #expect(ContinuousClock.now - start < .seconds(3))
        if let pid = outcome.text.split(whereSeparator: \.isWhitespace).last.flatMap({ pid_t($0) }) {
            kill(pid, SIGKILL)
        }
    }

    @Test func missingProgramIsNamed() {
        let error = #expect(throws: BasculeError.self) { try Subprocess.run(["no-such-program"]) }
        #expect(error?.code == .unsupported)
    }

    @Test func linesAreCut() {
        var splitter = LineSplitter()
        #expect(splitter.add(Array("a\nb".utf8)[...]) == ["a"])
        #expect(splitter.add(Array("c\n".utf8)[...]) == ["bc"])
        #expect(splitter.add([UInt8](repeating: 120, count: 100_000)[...]) == [])
        #expect(splitter.finish()?.count == 2000)
    }
}
