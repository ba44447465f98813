import BasculeModel
import Glibc

/// One parser under fire: a name, and what is done with any bytes. Crashing, hanging and growing are the failures; an
/// error that is thrown is a good answer.
struct FuzzTarget: Sendable {
    var name: String
    var run: @Sendable ([UInt8]) throws -> Void
}

/// Every target, by the name that `make fuzz TARGET=` takes.
let fuzzTargets: [FuzzTarget] = [
    .frames, .fleet, .journey, .journal, .archive, .dpkg, .facts, .dns, .http, .dbus, .redis, .ssh, .plan, .quoting,
]

/// One program holds all targets, so that the fuzzer may start itself again (it does, to minimise): the environment
/// says which.
private let chosen: FuzzTarget? = {
    let wanted = getenv("BASCULE_FUZZ").map { String(cString: $0) }
    if let found = fuzzTargets.first(where: { $0.name == wanted }) { return found }
    print("BASCULE_FUZZ names one of: \(fuzzTargets.map(\.name).joined(separator: " "))")
    return nil
}()

/// libFuzzer's entry.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let chosen else { exit(2) }
    do {
        try chosen.run(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        // Whatever is refused must also be tellable.
        require(!"\(error)".isEmpty, "an error without words")
    }
    return 0
}

/// A broken promise ends the program, which is how a fuzzer learns of it.
func require(_ holds: Bool, _ promise: @autoclosure () -> String) {
    if holds { return }
    fputs("broken promise: \(promise())\n", stderr)
    abort()
}

/// Cuts the bytes in two at a place that they name themselves.
func halves(_ bytes: [UInt8]) -> (head: ArraySlice<UInt8>, tail: ArraySlice<UInt8>) {
    guard let first = bytes.first else { return ([], []) }
    let cut = 1 + Int(first) * (bytes.count - 1) / 255
    return (bytes[1..<cut], bytes[cut...])
}
