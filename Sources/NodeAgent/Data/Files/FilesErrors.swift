import BasculeModel

extension ErrorCode {
    /// The target directory holds files that no earlier run of this move wrote.
    package static let filesTargetNotEmpty: ErrorCode = "files-target-not-empty"
    /// Preflight's finding stops the move.
    package static let filesMoveRefused: ErrorCode = "files-move-refused"
    /// SSH to the source failed: unreachable, another host key, login refused.
    package static let filesSourceUnreachable: ErrorCode = "files-source-unreachable"
    /// The account at the source may not run the commands that counting and hashing need.
    package static let filesSourceRestricted: ErrorCode = "files-source-restricted"
}
