/// What went wrong, as a stable code that programs branch on. Never branch on text.
///
/// Codes are lower-case words joined by dashes. A module adds its own codes by extension.
package struct ErrorCode: RawRepresentable, Hashable, Codable, Sendable, ExpressibleByStringLiteral,
    CustomStringConvertible
{
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package init(stringLiteral value: String) { self.rawValue = value }
    package init(from decoder: any Decoder) throws { rawValue = try decoder.singleValueContainer().decode(String.self) }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
    package var description: String { rawValue }
}

extension ErrorCode {
    /// A defect of Bascule itself: an invariant that should hold did not.
    package static let defect: ErrorCode = "defect"
    /// The input (a file, an argument) is not acceptable.
    package static let invalidInput: ErrorCode = "invalid-input"
    /// A file or directory could not be read or written.
    package static let inputOutput: ErrorCode = "input-output"
    /// An external command ended with a failure.
    package static let commandFailed: ErrorCode = "command-failed"
    /// A deadline passed.
    package static let timedOut: ErrorCode = "timed-out"
    /// The work was cancelled.
    package static let cancelled: ErrorCode = "cancelled"
    /// Something needed is not there (a program, a privilege, a platform).
    package static let unsupported: ErrorCode = "unsupported"
    /// A peer sent something that is not the protocol.
    package static let protocolViolation: ErrorCode = "protocol-violation"
    /// No space is left on the device.
    package static let diskFull: ErrorCode = "disk-full"
}

/// Where something went wrong.
package enum Place: Hashable, Codable, Sendable {
    /// A position in a text file; line and column count from 1.
    case file(path: String, line: Int, column: Int)
    /// A node, and the resource or step on it where one is known.
    case node(name: String, subject: String?)
    /// Anything else that has a name: a host and port, a database table.
    case thing(String)
}

extension Place: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let path, let line, let column): "\(path):\(line):\(column)"
        case .node(let name, let subject): subject.map { "\(name) \($0)" } ?? name
        case .thing(let name): name
        }
    }
}

/// The one error type that reaches a user: code, fact, place, cause, and what to do next.
package struct BasculeError: Error, Hashable, Codable, Sendable {
    package var code: ErrorCode
    /// What happened, one sentence without a full stop, no secret in it.
    package var message: String
    package var place: Place?
    /// What the layer below said, when it adds something.
    package var cause: String?
    /// What the user can do about it, one sentence.
    package var hint: String?

    package init(
        _ code: ErrorCode, _ message: String, at place: Place? = nil, cause: String? = nil, hint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.place = place
        self.cause = cause
        self.hint = hint
    }

    /// The same error, placed somewhere if it was nowhere yet.
    package func placed(at place: Place) -> BasculeError {
        var copy = self
        if copy.place == nil { copy.place = place }
        return copy
    }

    /// Any error as a `BasculeError`; foreign ones become the given code with their text as the cause.
    package static func wrapping(_ error: any Error, code: ErrorCode = .defect, _ message: String) -> BasculeError {
        (error as? BasculeError) ?? BasculeError(code, message, cause: "\(error)")
    }
}

extension BasculeError: CustomStringConvertible {
    package var description: String {
        var text = place.map { "\($0): " } ?? ""
        text += "\(message) [\(code)]"
        if let cause { text += "\ncause: \(cause)" }
        if let hint { text += "\nhint: \(hint)" }
        return text
    }
}
