import BasculeModel
import Glibc

extension ErrorCode {
    /// apt or dpkg could not do what was asked.
    package static let packageFailed: ErrorCode = "package-failed"
    /// A path leads over a link or a directory that somebody other than root controls.
    package static let unsafePath: ErrorCode = "unsafe-path"
    /// A unit did not start, or did not stay active.
    package static let unitFailed: ErrorCode = "unit-failed"
    /// The configuration check of a unit refused; nothing was restarted.
    package static let checkFailed: ErrorCode = "check-failed"
    /// A user or group is not known on this node.
    package static let unknownAccount: ErrorCode = "unknown-account"
    /// An apt repository could not be read with its key.
    package static let repositoryRefused: ErrorCode = "repository-refused"
    /// nftables refused the rules.
    package static let firewallRefused: ErrorCode = "firewall-refused"
    /// A release could not be unpacked or built.
    package static let buildFailed: ErrorCode = "build-failed"
    /// An instance did not become healthy in time.
    package static let unhealthy: ErrorCode = "instance-unhealthy"
    /// PostgreSQL is not there or refused a statement.
    package static let postgresRefused: ErrorCode = "postgres-refused"
    /// What a resource needs is missing in its declaration or on the node.
    package static let missingPrerequisite: ErrorCode = "missing-prerequisite"
}

/// An error of the C library as ours; a full disk keeps its own code.
func systemError(_ action: String, _ path: String, _ number: Int32 = errno) -> BasculeError {
    let full = number == ENOSPC || number == EDQUOT
    return BasculeError(
        full ? .diskFull : .inputOutput, full ? "No space is left to \(action)" : "Could not \(action)",
        at: .thing(path), cause: String(cString: strerror(number)),
        hint: full ? "free space on the node, then apply again; what stood there before is untouched" : nil)
}
