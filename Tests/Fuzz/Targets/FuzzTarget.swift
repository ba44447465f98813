import BasculeModel
import Glibc

/// One parser under fire: a name, and what is done with any bytes. Crashing, hanging and growing are the failures; an
/// error that is thrown is a good answer.
package struct FuzzTarget: Sendable {
    package var name: String
    package var run: @Sendable ([UInt8]) throws -> Void

    /// Every target, by the name that `make fuzz TARGET=` takes.
    package static let all: [FuzzTarget] = [
        .archive, .dbus, .dns, .dpkg, .facts, .fleet, .frames, .http, .journal, .journey, .plan, .quoting, .redis, .ssh,
    ]

    /// Runs one input. What is refused must also be tellable.
    package func take(_ bytes: [UInt8]) {
        do { try run(bytes) } catch { require(!"\(error)".isEmpty, "an error without words") }
    }
}

/// A broken promise ends the program, which is how a fuzzer learns of it.
func require(_ holds: @autoclosure () throws -> Bool, _ promise: @autoclosure () -> String) rethrows {
    if try holds() { return }
    let words = Array("broken promise: \(promise())\n".utf8)
    write(STDERR_FILENO, words, words.count)
    abort()
}

/// Cuts the bytes in two at a place that they name themselves.
func halves(_ bytes: [UInt8]) -> (head: ArraySlice<UInt8>, tail: ArraySlice<UInt8>) {
    guard let first = bytes.first else { return ([], []) }
    let cut = 1 + Int(first) * (bytes.count - 1) / 255
    return (bytes[1..<cut], bytes[cut...])
}
