import BasculeModel

/// `file:`
package struct FileResource: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        case inline(String)
        /// A template file, relative to the fleet's folder.
        case template(path: String, vars: [String: TemplateValue])
        /// A file to upload as it is, relative to the fleet's folder.
        case upload(path: String)
    }
    /// Absolute, normalised.
    package var path = ""
    /// `nil` only when `state` is absent.
    package var content: Content?
    package var owner = "root"
    package var group = "root"
    package var mode = FileMode(0o644)
    package var state = Presence.present
    package init() {}
}

/// `directory:`
package struct DirectoryResource: Sendable, Equatable {
    package var path = ""
    package var owner = "root"
    package var group = "root"
    package var mode = FileMode(0o755)
    package var state = Presence.present
    package init() {}
}

/// `symlink:`
package struct SymlinkResource: Sendable, Equatable {
    package var path = ""
    package var target = ""
    package var state = Presence.present
    package init() {}
}
