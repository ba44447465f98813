import Glibc

/// Standard error, line by line: the node's journal when the agent runs as a unit.
enum StandardError {
    /// Writes one line, whole.
    static func write(line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}
