import BasculeModel

/// A folder that the web server sends by itself, past the app.
package struct ServedFolder: Sendable, Equatable {
    /// Absolute on the node, or relative to the app's running release.
    package var folder = ""
    /// How long browsers may keep a file. Default 1 h.
    package var maxAge: Duration = .seconds(3600)
    /// The app's own files. Others, such as customers' uploads, are sent so that a browser runs nothing of them.
    package var trusted = false
    package init() {}
}

extension ServedFolder: Declared {
    static var about: String { "A folder that the web server sends by itself, past the app" }
    static var fields: [Field<ServedFolder>] {
        [
            .key(
                "folder", \.folder, .localPath, required: true, "Absolute on the node, or relative to the app's release"
            ),
            .key("maxAge", \.maxAge, .duration, "How long browsers may keep a file"),
            .key("trusted", \.trusted, .flag, "The app's own files; a browser runs nothing of others"),
        ]
    }
}

extension TextRule {
    static let urlFolder = TextRule(
        what: "a folder of the site such as /uploads/", first: "/", rest: "A-Za-z0-9/._~-", limit: 200)
}
