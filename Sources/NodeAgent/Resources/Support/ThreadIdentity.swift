import BasculeModel
import Glibc

/// The user that one thread acts as.
///
/// The C library changes the identity of all threads at once; the kernel itself knows it per thread. A socket is
/// stamped with the identity of the thread that connects, which is all that peer authentication looks at.
enum ThreadIdentity {
    private typealias SystemCall = @convention(c) (Int, Int, Int, Int) -> Int

    #if arch(x86_64)
        private static let setResUID = 117
    #elseif arch(arm64)
        private static let setResUID = 147
    #endif

    /// Runs `body` with this effective user on the calling thread, then returns to the one of before.
    static func acting<Result>(as user: uid_t, _ body: () throws -> Result) throws -> Result {
        let before = geteuid()
        guard user != before else { return try body() }
        let call = unsafeBitCast(try GNU.symbol("syscall"), to: SystemCall.self)
        guard call(setResUID, -1, Int(user), -1) == 0 else {
            throw BasculeError(.unsupported, "The agent may not act as another user", hint: "it has to run as root")
        }
        let result = Swift.Result { try body() }
        guard call(setResUID, -1, Int(before), -1) == 0 else {
            throw BasculeError(.defect, "The agent could not return to its own user")
        }
        return try result.get()
    }
}
