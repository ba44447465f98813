import BasculeModel

extension ErrorCode {
    /// A token does not cover what was asked, was revoked, or never existed.
    package static let tokenRefused: ErrorCode = "token-refused"
    /// Somebody asked the node to leave this alone.
    package static let resourceHeld: ErrorCode = "resource-held"
}

/// All that is understood at the door for tokens: another protocol than the controller's, so that nothing of that one
/// can be said here.
package enum DoorRequest: Hashable, Codable, Sendable {
    /// Said by the forced command itself, first and once: which key opened the door.
    case enter(app: String, token: String)
    /// Releases an app from an archive that follows as chunks of the same id; an empty one ends it. Events follow,
    /// then the answer.
    case release(app: String, archive: Digest, size: Int)
}

/// What a token may release, and how much it may send.
package enum TokenRules {
    /// Bytes of the largest archive: apps are sources, and what they need is fetched by their build.
    package static let largestArchive = 256 << 20

    /// Lower-case letters, digits and dashes, at most 40: it stands in a forced command and in logs.
    package static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 40, first != 45 else { return false }
        return name.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 }
    }
}
