/// Keeps a whole source as files on the node: the archive of the old system, taken before a cutover.
package struct ArchiveTask: Hashable, Codable, Sendable {
    package enum Source: Hashable, Codable, Sendable {
        /// Every table by COPY in one snapshot, beside the statements that make the schema.
        case postgres(PostgresMove)
        /// `mysqldump --single-transaction` of the database in the URL that the secret holds.
        case mysql(SecretName)
        /// Every key's DUMP with its expiry.
        case redis(RedisMove)
        /// A tar of the folder. `key` is the login's private key: while the task runs, it lies in the move's `identity`.
        case files(FilesMove, key: SecretName?)
    }

    package var name: String
    package var source: Source
    /// Absolute; made with mode 0700, and replaced whole where an earlier archive is there.
    package var folder: String
    /// Nobody writes to the source any more: counts have to be exact.
    package var isFenced: Bool

    package init(name: String, source: Source, folder: String, isFenced: Bool) {
        (self.name, self.source, self.folder, self.isFenced) = (name, source, folder, isFenced)
    }
}

/// An archive of a source, as its manifest has it.
package struct ArchiveReport: Hashable, Codable, Sendable {
    package var folder: String
    package var files: Int
    /// Bytes of the archive.
    package var bytes: Int64
    /// Bytes that the source itself says it holds.
    package var sourceBytes: Int64
    /// What was counted: `rows`, `keys`, `files`, `tables`.
    package var unit: String
    package var count: Int64
    /// How many the source says it has; nil where it does not tell exactly.
    package var expected: Int64?
    /// SHA-256 of the manifest.
    package var manifest: Digest
    /// Why it does not count; empty where it does.
    package var faults: [String]
    package var seconds: Double

    package init(
        folder: String, files: Int, bytes: Int64, sourceBytes: Int64, unit: String, count: Int64, expected: Int64?,
        manifest: Digest, faults: [String], seconds: Double
    ) {
        (self.folder, self.files, self.bytes, self.sourceBytes) = (folder, files, bytes, sourceBytes)
        (self.unit, self.count, self.expected, self.manifest) = (unit, count, expected, manifest)
        (self.faults, self.seconds) = (faults, seconds)
    }
}
