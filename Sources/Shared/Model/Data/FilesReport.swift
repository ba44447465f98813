/// One observation of a files preflight.
package struct FilesFinding: Hashable, Codable, Sendable {
    package enum Code: String, Hashable, Codable, Sendable, CaseIterable {
        /// The target has too little space, or too few inodes.
        case space
        /// The target holds files that are not the move's.
        case targetNotEmpty
        /// Sockets, pipes and devices, which do not travel.
        case specialFiles
        /// The account may not run commands, so that nothing can be counted or hashed at the source.
        case restricted
    }
    package enum Weight: String, Hashable, Codable, Sendable {
        case refuse, warn, info
    }

    package var code: Code
    package var weight: Weight
    package var message: String

    package init(_ code: Code, _ weight: Weight, _ message: String) {
        self.code = code
        self.weight = weight
        self.message = message
    }
}

/// How a path differs between source and target.
package struct FilesDifference: Hashable, Codable, Sendable {
    package enum Kind: String, Hashable, Codable, Sendable {
        /// Only at the source.
        case missing
        /// Only at the target.
        case extra
        /// Other content, another link's target, or a link where the other side has a file.
        case content
    }

    /// Relative path, bytes that cannot be printed as `\xNN`, cut at 240 characters.
    package var path: String
    package var kind: Kind

    package init(path: String, kind: Kind) {
        self.path = path
        self.kind = kind
    }
}

/// What the database's references and the files say of each other.
package struct FilesReferenceCheck: Hashable, Codable, Sendable {
    package var references = 0
    /// References whose file is not there: how many, and the first 20 as `column: value`.
    package var missing = 0
    package var missingFirst: [String] = []
    /// Files that no reference names: how many, and the first 20.
    package var orphaned = 0
    package var orphanedFirst: [String] = []
    package init() {}
}

/// The answer to a `FilesTask`.
package struct FilesReport: Hashable, Codable, Sendable {
    package var findings: [FilesFinding] = []
    /// Regular files at the source, and their bytes (preflight, verify: files hashed; bytes only in preflight).
    package var sourceFiles = 0
    package var sourceBytes: Int64 = 0
    /// Regular files that rsync sent, and their bytes (copy and sync).
    package var filesWritten = 0
    package var bytesWritten: Int64 = 0
    package var filesDeleted = 0
    /// Symbolic links that lead out of the tree (verify): never copied, since the target's programs would follow them.
    package var unsafeLinks = 0
    /// Files that vanished from the source during the copy: not an error.
    package var sourceVanished = false
    /// Paths equal on both sides (verify).
    package var pathsEqual = 0
    /// How many paths differ, and the first 20.
    package var pathsDiffering = 0
    package var differences: [FilesDifference] = []
    /// SHA-256 over the sorted manifests of both sides.
    package var sourceDigest: Digest?
    package var targetDigest: Digest?
    package var seconds: Double = 0
    /// The database's references against the target's files (verify, where references are declared).
    package var references: FilesReferenceCheck?

    package init() {}

    /// Whether a verification found both sides equal.
    package var isEqual: Bool { pathsDiffering == 0 && sourceDigest != nil && sourceDigest == targetDigest }
}
