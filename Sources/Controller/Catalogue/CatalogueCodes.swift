import BasculeModel

extension ErrorCode {
    /// Two parts of a fleet want one resource to be different things.
    package static let catalogueConflict: ErrorCode = "catalogue-conflict"
    /// A template could not be read, parsed or filled.
    package static let catalogueTemplate: ErrorCode = "catalogue-template"
    /// The node's release has no such version or package.
    package static let catalogueVersion: ErrorCode = "catalogue-version"
    /// Something is bound that no node of the active topology runs.
    package static let catalogueUnplaced: ErrorCode = "catalogue-unplaced"
    /// The address of a node that others need is not known yet.
    package static let catalogueNoAddress: ErrorCode = "catalogue-no-address"
    /// Declared, understood, and not done by this version.
    package static let catalogueLater: ErrorCode = "catalogue-later"
    /// What is declared for a node may use more than its memory.
    package static let catalogueMemory: ErrorCode = "catalogue-memory"
    /// Traffic between nodes is not encrypted by this version.
    package static let catalogueUnencrypted: ErrorCode = "catalogue-unencrypted"
    /// Alerts are raised and nobody is told.
    package static let catalogueNobodyTold: ErrorCode = "catalogue-nobody-told"
    /// A pool that does less than it is thought to.
    package static let cataloguePooling: ErrorCode = "catalogue-pooling"
    /// A queue on an instance that may drop its jobs.
    package static let catalogueEviction: ErrorCode = "catalogue-eviction"
    /// The node holds data of another version of a server, which the declared one cannot read.
    package static let catalogueCluster: ErrorCode = "catalogue-cluster"
    /// To do on the old server: the authority's questions must come to the new one.
    package static let forwardChallenges: ErrorCode = "todo-forward-challenges"
}

extension ErrorCode {
    /// Fewer copies of the data than three in two places, one of them away.
    package static let catalogueFewCopies: ErrorCode = "few-copies"
}
