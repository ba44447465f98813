/// A regular file.
package struct FileSpec: Hashable, Codable, Sendable {
    package var path: String
    package var content: Content
    package var permissions: Permissions
    package var state: Presence

    package init(
        _ path: String, _ content: Content, permissions: Permissions = Permissions(mode: 0o644),
        state: Presence = .present
    ) {
        (self.path, self.content, self.permissions, self.state) = (path, content, permissions, state)
    }
}

/// What stands at a path.
package enum PathType: String, Hashable, Codable, Sendable {
    case nothing, file, directory, symlink, other
}

/// A file as it is. Digests over content with secrets are keyed with the node's key.
package struct FileObserved: Hashable, Codable, Sendable {
    package var type: PathType
    package var permissions: Permissions?
    /// Digest of what is there; nil where nothing is.
    package var digest: Digest?
    /// Digest that the desired content has on this node.
    package var desiredDigest: Digest?
    /// The present text, where it differs, holds no secret, is UTF-8 and has at most 64 KiB: for the preview only.
    package var text: String?

    package init(
        type: PathType, permissions: Permissions? = nil, digest: Digest? = nil, desiredDigest: Digest? = nil,
        text: String? = nil
    ) {
        (self.type, self.permissions, self.digest, self.desiredDigest, self.text) =
            (type, permissions, digest, desiredDigest, text)
    }
}

/// Compares owner, group and mode, one difference each.
private func compare(_ observed: Permissions?, _ wanted: Permissions, into list: inout DifferenceList) {
    list.compareWanted("owner", observed?.owner, wanted: wanted.owner)
    list.compareWanted("group", observed?.group, wanted: wanted.group)
    list.compareWanted("mode", observed?.mode.octalMode, wanted: wanted.mode.octalMode)
}

extension FileSpec {
    package func verdict(_ observed: FileObserved) -> Verdict {
        if state == .absent {
            return observed.type == .nothing
                ? .satisfied(reason: "absent")
                : .change(Change(.delete, [Difference("type", before: observed.type.rawValue, after: nil)]))
        }
        let shown = content.secrets.isEmpty ? content : nil
        guard observed.type == .file else {
            var differences = [
                Difference(
                    "content", before: nil, after: Self.short(observed.desiredDigest),
                    diff: preview(of: shown, over: nil))
            ]
            if observed.type != .nothing {
                differences.insert(Difference("type", before: observed.type.rawValue, after: "file"), at: 0)
            }
            differences.append(
                Difference(
                    "mode", before: nil,
                    after: "\(permissions.owner):\(permissions.group) \(permissions.mode.octalMode)"))
            return .change(Change(.create, differences))
        }
        var list = DifferenceList()
        if observed.digest != observed.desiredDigest {
            list.add(
                Difference(
                    "content", before: Self.short(observed.digest), after: Self.short(observed.desiredDigest),
                    diff: preview(of: shown, over: observed.text)))
        }
        compare(observed.permissions, permissions, into: &list)
        return list.verdict(.update, satisfied: "same content and permissions")
    }

    private static func short(_ digest: Digest?) -> String? { digest.map { "sha256 \($0.rawValue.prefix(12))" } }

    private func preview(of content: Content?, over old: String?) -> String? {
        guard case .parts? = content, let new = content?.display, new.utf8.count <= 65_536 else { return nil }
        return UnifiedDiff.make(from: old ?? "", to: new)
    }
}

/// A directory. Missing parents are made root:root 0755.
package struct DirectorySpec: Hashable, Codable, Sendable {
    package var path: String
    package var permissions: Permissions
    package var state: Presence

    package init(_ path: String, permissions: Permissions = Permissions(mode: 0o755), state: Presence = .present) {
        (self.path, self.permissions, self.state) = (path, permissions, state)
    }
}

/// A directory as it is.
package struct DirectoryObserved: Hashable, Codable, Sendable {
    package var type: PathType
    package var permissions: Permissions?
    /// Whether anything is in it: a directory that is not empty is never deleted.
    package var isEmpty: Bool

    package init(type: PathType, permissions: Permissions? = nil, isEmpty: Bool = true) {
        (self.type, self.permissions, self.isEmpty) = (type, permissions, isEmpty)
    }
}

extension DirectorySpec {
    package func verdict(_ observed: DirectoryObserved) -> Verdict {
        switch (state, observed.type) {
        case (.absent, .nothing): return .satisfied(reason: "absent")
        case (.absent, .directory) where !observed.isEmpty:
            return .unreachable(reason: "the directory is not empty; empty it, Bascule deletes no unknown files")
        case (.absent, _):
            return .change(Change(.delete, [Difference("type", before: observed.type.rawValue, after: nil)]))
        case (.present, .nothing):
            let after = "\(permissions.owner):\(permissions.group) \(permissions.mode.octalMode)"
            return .change(Change(.create, [Difference("mode", before: nil, after: after)]))
        case (.present, .directory):
            var list = DifferenceList()
            compare(observed.permissions, permissions, into: &list)
            return list.verdict(.update, satisfied: "same permissions")
        case (.present, _):
            return .unreachable(reason: "a \(observed.type.rawValue) stands at this path; move it away")
        }
    }
}

/// A symbolic link.
package struct SymlinkSpec: Hashable, Codable, Sendable {
    package var path: String
    package var target: String
    package var state: Presence

    package init(_ path: String, target: String, state: Presence = .present) {
        (self.path, self.target, self.state) = (path, target, state)
    }
}

/// A symbolic link as it is.
package struct SymlinkObserved: Hashable, Codable, Sendable {
    package var type: PathType
    package var target: String?

    package init(type: PathType, target: String? = nil) { (self.type, self.target) = (type, target) }
}

extension SymlinkSpec {
    package func verdict(_ observed: SymlinkObserved) -> Verdict {
        switch (state, observed.type) {
        case (.absent, .nothing): return .satisfied(reason: "absent")
        case (.absent, .symlink):
            return .change(Change(.delete, [Difference("target", before: observed.target, after: nil)]))
        case (.present, .nothing): return .change(Change(.create, [Difference("target", before: nil, after: target)]))
        case (.present, .symlink):
            var list = DifferenceList()
            list.compareWanted("target", observed.target, wanted: target)
            return list.verdict(.update, satisfied: "points to \(target)")
        default: return .unreachable(reason: "a \(observed.type.rawValue) stands at this path; move it away")
        }
    }
}
