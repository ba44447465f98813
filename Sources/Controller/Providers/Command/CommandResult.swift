import BasculeModel

/// What an ended command left behind.
package struct CommandResult: Hashable, Sendable {
    /// The exit status; `128 + signal` when a signal ended it, as a shell reports it.
    package var status: Int32
    /// Standard output, cut at the caller's limit.
    package var stdout: [UInt8]
    /// Standard error, cut at the caller's limit.
    package var stderr: [UInt8]

    package init(status: Int32, stdout: [UInt8] = [], stderr: [UInt8] = []) {
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
    }

    /// Standard output as text; bytes that are no UTF-8 are replaced.
    package var text: String { String(decoding: stdout, as: UTF8.self) }

    /// Standard error as text; bytes that are no UTF-8 are replaced.
    package var errorText: String { String(decoding: stderr, as: UTF8.self) }

    /// This result when the status is 0, else `command-failed` with the end of what the command complained about.
    package func requireSuccess(_ what: String, hint: String? = nil) throws -> CommandResult {
        guard status != 0 else { return self }
        let complaint = stderr.isEmpty ? text : errorText
        throw BasculeError(
            .commandFailed, "\(what) failed with status \(status)", cause: Self.tail(of: complaint), hint: hint)
    }

    /// The last lines of a long text: errors stand at the end.
    package static func tail(of text: String, lines: Int = 12) -> String? {
        let all = text.split(whereSeparator: \.isNewline)
        return all.isEmpty ? nil : all.suffix(lines).joined(separator: "\n")
    }
}
