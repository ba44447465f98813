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

/// A file entry as it is written; `content`, `template` and `source` exclude each other.
struct DeclaredFile: Declared {
    var resource = FileResource()
    var inline: String?
    var template: String?
    var vars: [String: TemplateValue]?
    var source: String?

    static var about: String { "A file: inline, from a template, or uploaded" }
    static var fields: [Field<DeclaredFile>] {
        [
            .key("file", \.resource.path, .absolutePath, required: true, "Its path"),
            .key("content", \.inline, .text(), "Its text"),
            .key("template", \.template, .fleetPath, "A template of the fleet's folder that renders it"),
            .key("vars", \.vars, .map(.header, { $0 }, .templateValue), "The template's variables"),
            .key("source", \.source, .fleetPath, "A file of the fleet's folder to upload as it is"),
            .key("owner", \.resource.owner, .name(.account), "Its owner"),
            .key("group", \.resource.group, .name(.account), "Its group"),
            .key("mode", \.resource.mode, .mode, "Its permissions"),
            .key("state", \.resource.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension Variant where Value == CustomResource.Kind {
    /// A file, once it is clear where its content comes from.
    static var file: Variant {
        Variant(
            "file", DeclaredFile.self,
            checked: { declared, node, reader in
                var resource = declared.resource
                let given = [declared.inline, declared.template, declared.source].compactMap { $0 }.count
                if let text = declared.inline { resource.content = .inline(text) }
                if let path = declared.template { resource.content = .template(path: path, vars: declared.vars ?? [:]) }
                if let path = declared.source { resource.content = .upload(path: path) }
                let written = reader.written(["content", "template", "source"], in: node)
                if given > 1 || (written == 0 && resource.state == .present) {
                    reader.error(
                        .fleetBadValue,
                        "\(reader.subject) must have one of the keys 'content', 'template' and 'source'",
                        at: node.span, hint: "an empty file is content: \"\"; to remove it write state: absent")
                } else if declared.vars != nil, reader.written(["template"], in: node) == 0 {
                    reader.error(
                        .fleetBadValue, "\(reader.subject) has 'vars' but no 'template'", at: node.span,
                        hint: "variables are filled into templates only")
                }
                return .file(resource)
            })
    }
}

extension DirectoryResource: Declared {
    static var about: String { "A directory" }
    static var fields: [Field<DirectoryResource>] {
        [
            .key("directory", \.path, .absolutePath, required: true, "Its path"),
            .key("owner", \.owner, .name(.account), "Its owner"),
            .key("group", \.group, .name(.account), "Its group"),
            .key("mode", \.mode, .mode, "Its permissions"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension SymlinkResource: Declared {
    static var about: String { "A symbolic link" }
    static var fields: [Field<SymlinkResource>] {
        [
            .key("symlink", \.path, .absolutePath, required: true, "Its path"),
            .key("target", \.target, .absolutePath, required: true, "What it points to"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}
