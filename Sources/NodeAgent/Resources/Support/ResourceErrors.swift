import BasculeModel
import Glibc

extension ErrorCode {
    /// A file system is mounted read-only.
    package static let readOnlyDisk: ErrorCode = "disk-read-only"
    /// The disk did not keep or give what was written.
    package static let diskFailed: ErrorCode = "disk-failed"
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
    /// A service runs, or does not, and in any case does not do what it is for.
    package static let doesNotServe: ErrorCode = "does-not-serve"
    /// PostgreSQL is not there or refused a statement.
    package static let postgresRefused: ErrorCode = "postgres-refused"
    /// What a resource needs is missing in its declaration or on the node.
    package static let missingPrerequisite: ErrorCode = "missing-prerequisite"
}

/// An error of the C library as ours; a full disk keeps its own code.
func systemError(_ action: String, _ path: String, _ number: Int32 = errno) -> BasculeError {
    let full = number == ENOSPC || number == EDQUOT
    return BasculeError(
        DiskTrouble.code(number), full ? "No space is left to \(action)" : "Could not \(action)",
        at: .thing(path), cause: String(cString: strerror(number)), hint: DiskTrouble.hint(number))
}

/// What is said where the disk itself is the reason.
package enum DiskTrouble {
    package static func code(_ number: Int32) -> ErrorCode {
        switch number {
        case ENOSPC, EDQUOT: .diskFull
        case EROFS: .readOnlyDisk
        case EIO: .diskFailed
        default: .inputOutput
        }
    }

    package static func hint(_ number: Int32) -> String? {
        switch number {
        case ENOSPC, EDQUOT:
            "free space or inodes on the node (df -h, df -i), then apply again; what stood there before is untouched"
        case EROFS:
            "the file system is mounted read-only, most often because its disk failed: look at dmesg on the node, repair it, then apply again"
        case EIO: "the node's disk fails: look at dmesg there; nothing is tried again by itself"
        default: nil
        }
    }
}
