import BasculeModel

extension ErrorCode {
    /// The text is not one YAML document.
    package static let fleetSyntax: ErrorCode = "fleet-syntax"
    /// The file exceeds a limit: 1 MiB, 32 levels, 10,000 values.
    package static let fleetTooLarge: ErrorCode = "fleet-too-large"
    /// A key that no declaration knows.
    package static let fleetUnknownKey: ErrorCode = "fleet-unknown-key"
    /// A key written twice in one mapping.
    package static let fleetDuplicateKey: ErrorCode = "fleet-duplicate-key"
    /// A key that must be there is not.
    package static let fleetMissingKey: ErrorCode = "fleet-missing-key"
    /// A value of another kind than its key takes.
    package static let fleetWrongType: ErrorCode = "fleet-wrong-type"
    /// A value of the right kind that is out of range or not among the choices.
    package static let fleetBadValue: ErrorCode = "fleet-bad-value"
    /// A name with characters that it must not have.
    package static let fleetBadName: ErrorCode = "fleet-bad-name"
    /// A path that is not absolute, not normalised, or leaves its folder.
    package static let fleetBadPath: ErrorCode = "fleet-bad-path"
    /// A secret's value stands in the file.
    package static let fleetPlainSecret: ErrorCode = "fleet-plain-secret"
    /// A name that nothing declares.
    package static let fleetDangling: ErrorCode = "fleet-dangling-reference"
    /// Two entries claim one thing: a resource, a port, a domain.
    package static let fleetDuplicateClaim: ErrorCode = "fleet-duplicate-id"
    /// A local file that the fleet file names is not there.
    package static let fleetMissingFile: ErrorCode = "fleet-missing-file"
    /// Acceptable, but probably not what was meant.
    package static let fleetDoubtful: ErrorCode = "fleet-doubtful"
}
