import Glibc

/// Points at which a test build kills itself, to prove that any crash can be survived.
///
/// The environment variable `BASCULE_FAILPOINT` names one, as `NAME` or `NAME:COUNT` for the COUNTth time it is passed.
/// Release builds carry none of it.
package enum Failpoint {
    #if DEBUG || BASCULE_FAILPOINTS
        private static let armed: (name: String, count: Int)? = {
            guard let text = getenv("BASCULE_FAILPOINT").map({ String(cString: $0) }) else { return nil }
            let parts = text.split(separator: ":", maxSplits: 1)
            guard let name = parts.first else { return nil }
            return (String(name), parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
        }()
        private static let passed = Counter()

        /// Dies by SIGKILL here, if this is the armed point.
        package static func hit(_ name: String) {
            guard let armed, armed.name == name, passed.next() == armed.count else { return }
            kill(getpid(), SIGKILL)
        }
    #else
        /// Nothing, in a release build.
        @inlinable package static func hit(_ name: String) {}
    #endif
}
