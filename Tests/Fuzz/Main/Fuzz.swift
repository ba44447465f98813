import BasculeFuzzTargets
import Glibc

/// One program holds all targets, so that the fuzzer may start itself again (it does, to minimise): the environment
/// says which.
private let chosen: FuzzTarget? = {
    let wanted = getenv("BASCULE_FUZZ").map { String(cString: $0) }
    if let found = FuzzTarget.all.first(where: { $0.name == wanted }) { return found }
    print("BASCULE_FUZZ names one of: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
    return nil
}()

/// libFuzzer's entry.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let chosen else { exit(2) }
    chosen.take(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
