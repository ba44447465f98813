import Glibc

/// Points at which a test build kills itself, to prove that any crash can be survived. A release build carries none of
/// it: no call, no name.
///
/// Names are words joined by dots, from the program to the moment: `agent.journal.fsync.before`. Settings come from the
/// environment; on a node also from lines of `/run/bascule-failpoints`, which win and reach every process there at once:
///
/// - `BASCULE_FAILPOINT=NAME[:COUNT]` dies by SIGKILL where NAME is passed for the COUNTth time (the first by default).
/// - `BASCULE_FAILPOINT_COUNTER=FILE` counts in a file, over all processes: who was killed there and started again does
///   not die a second time.
/// - `BASCULE_FAILPOINT_TRACE=FILE` appends the name of every point that is passed, one a line.
package enum Failpoint {
    #if DEBUG || BASCULE_FAILPOINTS
        /// Passes a point: notes it, or dies here.
        package static func hit(_ name: @autoclosure () -> String) { FailpointSettings.current?.pass(name()) }
    #else
        /// Nothing, in a release build.
        @inlinable package static func hit(_ name: @autoclosure () -> String) {}
    #endif
}

#if DEBUG || BASCULE_FAILPOINTS
    import Synchronization

    private struct FailpointSettings: Sendable {
        private var name: String?
        private var count = 1
        private var counter: String?
        private var trace: String?

        private static let nodeFile = "/run/bascule-failpoints"
        private static let passed = Mutex(0)
        private static let fromEnvironment = FailpointSettings { key in getenv(key).map { String(cString: $0) } }

        /// What holds now: a test changes the node's file while the agent runs.
        static var current: FailpointSettings? {
            guard let lines = readNodeFile() else { return fromEnvironment }
            return FailpointSettings { key in
                lines.first { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.utf8.count + 1)) }
            }
        }

        private init?(_ value: (String) -> String?) {
            if let parts = value("BASCULE_FAILPOINT")?.split(separator: ":", maxSplits: 1), let first = parts.first {
                name = String(first)
                count = parts.count > 1 ? Int(parts[1]) ?? 1 : 1
            }
            counter = value("BASCULE_FAILPOINT_COUNTER")
            trace = value("BASCULE_FAILPOINT_TRACE")
            if name == nil, trace == nil { return nil }
        }

        private static func readNodeFile() -> [Substring]? {
            let file = open(nodeFile, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let length = read(file, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(0, length)), as: UTF8.self).split(separator: "\n")
        }

        func pass(_ point: String) {
            if let trace { _ = FailpointSettings.append(point + "\n", to: trace) }
            guard point == name else { return }
            let ordinal =
                counter.flatMap { FailpointSettings.append(".", to: $0) }
                ?? FailpointSettings.passed.withLock {
                    $0 += 1
                    return $0
                }
            guard ordinal == count else { return }
            kill(getpid(), SIGKILL)
            while true { pause() }
        }

        /// Appends as one write; gives the file's length after it.
        private static func append(_ text: String, to path: String) -> Int? {
            let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
            guard file >= 0 else { return nil }
            defer { close(file) }
            let bytes = Array(text.utf8)
            guard write(file, bytes, bytes.count) == bytes.count else { return nil }
            return Int(lseek(file, 0, SEEK_CUR))
        }
    }
#endif
