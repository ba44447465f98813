import BasculeModel
import Glibc

/// A lock that the kernel releases with its holder, so that no crash leaves it behind.
enum FileLock {
    enum Mode { case shared, exclusive }

    /// Runs `body` while holding the lock.
    /// - Parameter onWait: called once when somebody else holds it.
    /// - Throws: `lab-busy` if the lock was not free within `patience`.
    static func with<Result: Sendable>(
        _ path: String, mode: Mode = .exclusive, patience: Duration = .seconds(120), onWait: (() -> Void)? = nil,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LabFiles.failure("could not be opened", path) }
        defer { close(descriptor) }
        let operation = mode == .shared ? LOCK_SH : LOCK_EX
        let end = ContinuousClock.now.advanced(by: patience)
        var waited = false
        while flock(descriptor, operation | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw LabFiles.failure("could not be locked", path) }
            guard ContinuousClock.now < end else {
                throw BasculeError(
                    .labBusy, "another process is working on this lab", at: .thing(path),
                    hint: "Wait until it has ended, or end it.")
            }
            if !waited { onWait?() }
            waited = true
            try await Task.sleep(for: .milliseconds(20))
        }
        return try await body()
    }

    /// Like `with`, but gives nil at once when somebody else holds the lock.
    static func tryWith<Result: Sendable>(
        _ path: String, _ body: () async throws -> Result
    ) async throws -> Result? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LabFiles.failure("could not be opened", path) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return nil }
        return try await body()
    }
}
