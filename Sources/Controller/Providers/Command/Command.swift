import BasculeModel
import Foundation
import Glibc

/// Runs programs of this machine. Arguments are vectors; nothing here passes through a shell.
package enum Command {
    /// Runs a program to its end.
    /// - Parameters:
    ///   - argv: the program (looked up in `PATH`) and its arguments.
    ///   - stdin: what it reads; nothing by default.
    ///   - environment: variables added to ours; a nil value removes one.
    ///   - deadline: after this long its whole process group is killed and `timed-out` thrown.
    ///   - limit: how many bytes of each output are kept; the rest is read and dropped.
    ///   - onOutput: called with each piece of either output as it arrives, on a private thread.
    /// - Throws: `unsupported` if the program does not exist, `timed-out`, `cancelled`. A failing status is a result.
    package static func run(
        _ argv: [String], stdin: [UInt8] = [], environment: [String: String?] = [:],
        deadline: Duration = .seconds(60), limit: Int = 16 << 20, onOutput: (@Sendable ([UInt8]) -> Void)? = nil
    ) async throws -> CommandResult {
        let wake = try WakePipe()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<CommandResult, any Error>) in
                Thread.detachNewThread {
                    continuation.resume(
                        with: Result {
                            var pump = try CommandPump(
                                argv, stdin: stdin, environment: environment, limit: limit, onOutput: onOutput)
                            return try pump.run(deadline: deadline, wake: wake.readEnd)
                        })
                }
            }
        } onCancel: {
            wake.wake()
        }
    }

    /// Runs a program on our own terminal until it ends; for interactive use. Returns its status.
    package static func runInteractively(_ argv: [String], environment: [String: String?] = [:]) async throws -> Int32 {
        let pid = try Spawn.start(argv, environment: environment, descriptors: (0, 1, 2), group: .inherited)
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Spawn.wait(for: pid)) }
        }
    }

    /// Starts a program that outlives this one: without terminal, output or environment, in a session of its own.
    /// - Parameter stdin: handed over before this returns.
    package static func detach(_ argv: [String], stdin: [UInt8]) throws {
        let input = try Spawn.pipe()
        let nothing = ProcessInfo.processInfo.environment.mapValues { _ in String?.none }
        defer { close(input.writing) }
        do {
            defer { close(input.reading) }
            _ = try Spawn.start(argv, environment: nothing, descriptors: (input.reading, -1, -1), group: .session)
        }
        var rest = stdin[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(input.writing, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw BasculeError(.inputOutput, "\(argv[0]) does not read its input", cause: lastError())
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Whether a program of this name is in `PATH` or a system administrator's directory.
    package static func exists(_ program: String) -> Bool {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let directories = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        return directories.contains { access("\($0)/\(program)", X_OK) == 0 }
    }

    /// The text of the C library's last error.
    static func lastError() -> String { String(cString: strerror(errno)) }
}

/// Runs work to its end even if the calling task is cancelled: cleaning up is what a cancelled task still has to do.
func uncancelled<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
    try await Task { try await work() }.value
}

/// Wakes a thread that polls. Both ends live as long as anybody may still use them.
private final class WakePipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    init() throws {
        (readEnd, writeEnd) = try Spawn.pipe()
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    func wake() {
        var one: UInt8 = 1
        write(writeEnd, &one, 1)
    }
}
