import BasculeModel
import Foundation
import Synchronization

/// A program that runs beside the test, with its output so far.
final class Running: Sendable {
    private struct State {
        var output = ""
        var status: Int32?
    }

    private let process = Process()
    private let pipe = Pipe()
    private let state = Mutex(State())
    let pid: pid_t

    init(_ argv: [String], environment: [String: String?]) throws {
        process.executableURL = URL(fileURLWithPath: argv[0])
        process.arguments = Array(argv.dropFirst())
        var merged = ProcessInfo.processInfo.environment
        for (name, value) in environment { merged[name] = value }
        process.environment = merged
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        pid = process.processIdentifier
        pipe.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            self?.state.withLock { $0.output += String(decoding: data, as: UTF8.self) }
        }
        process.terminationHandler = { [weak self] ended in
            let status = ended.terminationReason == .exit ? ended.terminationStatus : 128 + ended.terminationStatus
            self?.state.withLock { $0.status = status }
        }
    }

    /// A forgotten program must not outlive its test.
    deinit { if process.isRunning { kill(pid, SIGKILL) } }

    var output: String { state.withLock { $0.output } }
    /// 128 + signal where a signal ended it; nil while it runs.
    var status: Int32? { state.withLock { $0.status } }

    func kill9() { if process.isRunning { kill(pid, SIGKILL) } }

    /// Waits until the output holds `text`; false where the program ended or `seconds` passed before.
    func says(_ text: String, within seconds: Double) async throws -> Bool {
        try await eventually(within: seconds, every: .milliseconds(20)) { [self] in
            output.contains(text) || status != nil
        }
        return output.contains(text)
    }

    /// The exit status, once it has ended.
    func ended(within seconds: Double) async throws -> Int32 {
        try await eventually(within: seconds, every: .milliseconds(50)) { [self] in status != nil }
        guard let status else {
            throw BasculeError(
                .timedOut, "the program still runs after \(seconds * 4) s", cause: String(output.suffix(2000)))
        }
        // The last output may still be on its way.
        try await Task.sleep(for: .milliseconds(50))
        return status
    }
}

/// Waits until something holds; says whether it did.
/// - Parameter seconds: how long it takes on a quiet machine at the most; a busy one gets four times that.
@discardableResult
func eventually(within seconds: Double, every pause: Duration = .milliseconds(200), _ holds: () async throws -> Bool)
    async throws -> Bool
{
    let end = ContinuousClock.now + .seconds(seconds * 4)
    while ContinuousClock.now < end {
        if try await holds() { return true }
        try await Task.sleep(for: pause)
    }
    return try await holds()
}
