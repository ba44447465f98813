import BasculeModel

/// What the keepers of resources need from the agent around them.
package struct NodeContext: Sendable {
    /// Where the agent keeps its state, e.g. `/var/lib/bascule`.
    package var stateDirectory: String
    /// The value of a secret; throws where this node was not given it.
    package var resolve: @Sendable (SecretName) throws -> Secret
    /// Key for digests over content with secrets, known to this node only.
    package var nodeKey: [UInt8]
    /// Where the bytes of an uploaded content lie.
    package var blobPath: @Sendable (Digest) -> String
    /// Told one line at a time what is going on; for people, without secrets.
    package var progress: @Sendable (String) -> Void
    /// Asked in long waits; true ends them where that is safe.
    package var isCancelled: @Sendable () -> Bool

    package init(
        stateDirectory: String = "/var/lib/bascule", resolve: @escaping @Sendable (SecretName) throws -> Secret,
        nodeKey: [UInt8], blobPath: @escaping @Sendable (Digest) -> String,
        progress: @escaping @Sendable (String) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.stateDirectory = stateDirectory
        self.resolve = resolve
        self.nodeKey = nodeKey
        self.blobPath = blobPath
        self.progress = progress
        self.isCancelled = isCancelled
    }
}
