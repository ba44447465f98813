import BasculeModel
import Foundation
import Glibc

/// The terminal: colours only where there is one, text from strangers escaped.
enum Terminal {
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    static let isInteractive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    private static let wantsColor = ProcessInfo.processInfo.environment["NO_COLOR"].map { $0.isEmpty } ?? true
    static let outputHasColor = outputIsTerminal && wantsColor
    static let errorsHaveColor = isatty(STDERR_FILENO) == 1 && wantsColor

    enum Color: String { case red = "31", green = "32", yellow = "33", blue = "34", dim = "2", bold = "1" }

    /// The text in a colour, where standard output shows colours.
    static func paint(_ text: String, _ color: Color) -> String {
        outputHasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Writes it all. Who reads no further (`bascule plan | head`) ends the program, as a signal would.
    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EPIPE {
                _exit(128 + SIGPIPE)
            } else if errno == EAGAIN {
                usleep(1000)
            } else if errno != EINTR {
                return
            }
        }
    }

    /// One line to standard output.
    static func say(_ line: String = "") {
        LiveScreen.pause { write("\(line)\n", to: STDOUT_FILENO) }
    }

    /// One line to standard error.
    static func error(_ line: String) {
        LiveScreen.pause { write("\(line)\n", to: STDERR_FILENO) }
    }

    /// Shows an error.
    static func fail(_ failure: BasculeError) { error(text(of: failure)) }

    /// An error as a user sees it: code, fact, place, cause, hint.
    static func text(of failure: BasculeError) -> String {
        let color = errorsHaveColor
        func paint(_ text: String, _ code: String) -> String { color ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
        var text = "\(paint("error", "1;31")): \(escape(failure.message)) [\(escape("\(failure.code)"))]"
        if let place = failure.place { text += "\n   at: \(escape("\(place)"))" }
        if let cause = failure.cause {
            text += "\ncause: \(cause.split(separator: "\n").map { escape(String($0)) }.joined(separator: "\n       "))"
        }
        if let hint = failure.hint { text += "\n\(paint("hint", "1;36")): \(escape(hint))" }
        return text
    }

    /// Control characters, which could move the cursor or change the title, made visible.
    static func escape(_ text: String) -> String {
        String(
            text.unicodeScalars.map { scalar -> Character in
                let isControl =
                    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                    || (0x2028...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
                    || [0x200E, 0x200F, 0x061C].contains(scalar.value)
                return isControl && scalar != "\t" ? "\u{FFFD}" : Character(scalar)
            })
    }

    /// A yes or no; anything but a clear yes is no.
    static func ask(_ question: String) -> Bool {
        let answer = LiveScreen.pause {
            FileHandle.standardError.write(Data("\(question) [y/N] ".utf8))
            return readLine()?.lowercased()
        }
        guard let answer else { return false }
        return ["y", "yes", "o", "oui"].contains(answer)
    }

    /// A line, or what stands without one.
    static func line(_ question: String, _ standard: String) -> String {
        let answer = LiveScreen.pause {
            FileHandle.standardError.write(Data("\(question)\(standard.isEmpty ? "" : " [\(standard)]"): ".utf8))
            return readLine()?.trimmingCharacters(in: .whitespaces)
        }
        guard let answer, !answer.isEmpty else { return standard }
        return answer
    }

    /// A line that is not shown while it is typed; nil at the end of the input.
    static func secret(_ prompt: String) -> Secret? { LiveScreen.pause { askSecret(prompt) } }

    private static func askSecret(_ prompt: String) -> Secret? {
        FileHandle.standardError.write(Data(prompt.utf8))
        var settings = termios()
        let isTerminal = tcgetattr(STDIN_FILENO, &settings) == 0
        var quiet = settings
        quiet.c_lflag &= ~tcflag_t(ECHO)
        if isTerminal { tcsetattr(STDIN_FILENO, TCSANOW, &quiet) }
        defer {
            if isTerminal {
                tcsetattr(STDIN_FILENO, TCSANOW, &settings)
                FileHandle.standardError.write(Data("\n".utf8))
            }
        }
        return readLine().map { Secret($0) }
    }

    /// A value as one line of JSON.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        FileHandle.standardOutput.write(try encoder.encode(value) + Data("\n".utf8))
    }
}
