import BasculeModel
import FoundationEssentials
import Glibc
import Synchronization

/// A customer who walks journeys over and over while a migration runs, and writes down what happened: the only
/// witness whose word counts for an outage. Each lane has its own thread and pace; every attempt starts without
/// cookies or connections, so that it goes where the resolver says at that moment.
package final class SyntheticCustomer: Sendable {
    /// One journey and its pace.
    package struct Lane: Sendable {
        package var journey: Journey
        /// Seconds from one start to the next. An attempt that takes longer delays the next one, and none is made up.
        package var every: Double
        /// Seconds for one attempt. Short, or a hanging server hides the moment at which it comes back.
        package var timeout: Double

        package init(journey: Journey, every: Double, timeout: Double = 5) {
            (self.journey, self.every, self.timeout) = (journey, every, timeout)
        }
    }

    private let runner: JourneyRunner
    private let lanes: [Lane]
    private let variables: [String: String]
    private let secrets: [String: Secret]
    private let record: CustomerRecord
    private let stopping = Atomic<Bool>(false)

    /// Appends to `record`. The target's resolver should be a `CachingResolver`, so that TTLs count.
    package init(
        target: JourneyRunner.Target, lanes: [Lane], variables: [String: String] = [:],
        secrets: [String: Secret] = [:], record: CustomerRecord
    ) {
        runner = JourneyRunner(target, cleanupTime: 2)
        (self.lanes, self.variables, self.secrets, self.record) = (lanes, variables, secrets, record)
    }

    /// Shops until `stop()` or the deadline, and returns when every attempt under way has ended.
    /// Error: `input-output` if the record could not be written.
    package func run(until deadline: Deadline = .never) throws {
        let failure = Mutex<BasculeError?>(nil)
        let threads = lanes.map { lane in
            Worker { [self] in
                do {
                    try walk(lane, until: deadline)
                } catch {
                    stop()
                    failure.withLock { $0 = .wrapping(error, code: .inputOutput, "Could not write the record") }
                }
            }
        }
        for thread in threads { thread.join() }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Lets the attempts under way end, and starts no more.
    package func stop() { stopping.store(true, ordering: .releasing) }

    private func walk(_ lane: Lane, until deadline: Deadline) throws {
        while !stopping.load(ordering: .acquiring), !deadline.passed {
            let next = Deadline.seconds(lane.every)
            let result = runner.run(
                lane.journey, variables: variables, secrets: secrets, deadline: .seconds(lane.timeout))
            try record.append(result)
            // Short naps, so that a long pace does not delay the end.
            while !next.passed, !deadline.passed, !stopping.load(ordering: .acquiring) {
                Monotonic.sleep(min(next.remaining, .milliseconds(50)))
            }
        }
    }
}

/// The file of a synthetic customer: one JSON object (a `JourneyResult`) a line, appended by any number of threads.
package final class CustomerRecord: Sendable {
    package let path: String
    private let descriptor: Mutex<Int32>

    /// Opens the file for appending and creates it (mode 0600) if it is not there. Error: `input-output`.
    package init(path: String) throws {
        self.path = path
        let opened = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw BasculeError(.inputOutput, "Could not open the record", at: .thing(path), cause: errorText(errno))
        }
        descriptor = Mutex(opened)
    }

    deinit { _ = descriptor.withLock { close($0) } }

    /// Adds a line.
    package func append(_ result: JourneyResult) throws {
        let line = Array(try JSONEncoder().encode(result)) + [10]
        try descriptor.withLock { descriptor in
            var start = 0
            while start < line.count {
                let count = line[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    throw BasculeError(
                        errno == ENOSPC ? .diskFull : .inputOutput, "Could not write the record", at: .thing(path),
                        cause: errorText(errno))
                }
                start += count
            }
        }
    }

    /// All attempts in a file, by their start. A last line that a crash has cut is left out.
    /// Errors: `input-output`, `invalid-input` (another line is broken).
    package static func read(path: String) throws -> [JourneyResult] {
        let data: Data
        do { data = try Data(contentsOf: URL(filePath: path)) } catch {
            throw BasculeError(.inputOutput, "Could not read the record", at: .thing(path), cause: "\(error)")
        }
        var results: [JourneyResult] = []
        let decoder = JSONDecoder()
        let lines = data.split(separator: 10)
        for (index, line) in lines.enumerated() {
            do {
                results.append(try decoder.decode(JourneyResult.self, from: line))
            } catch {
                if index == lines.count - 1, data.last != 10 { break }
                throw BasculeError(
                    .invalidInput, "The record is broken", at: .file(path: path, line: index + 1, column: 1),
                    cause: "\(error)")
            }
        }
        return results.sorted { $0.startedAt < $1.startedAt }
    }
}
