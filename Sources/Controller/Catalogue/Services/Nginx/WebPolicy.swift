import BasculeFleet
import BasculeModel

/// What holds for the web whichever server does it.
extension Compilation {
    /// Seconds of Strict-Transport-Security; nil where none is sent.
    func hstsSeconds(_ hsts: HSTS) -> Int? {
        switch hsts {
        case .off: nil
        case .always(let duration): Self.wholeSeconds(duration)
        // Mozilla's "intermediate": two years.
        case .afterWatch: fleet.migration == nil || context.watchEnded ? 63_072_000 : nil
        }
    }

    /// Whose X-Forwarded-For is believed, and why.
    func trustedProxies(_ cdn: CDN, on node: NodeName) throws -> (networks: [String], why: String) {
        var networks: [String] = []
        var why: [String] = []
        if case .node(let old)? = fleet.migration?.edge, old.node != node, let edge = context.addresses[old.node] {
            networks.append(edge)
            why.append("the migration's old edge passes customers on")
        }
        switch cdn {
        case .none: break
        case .cloudflare:
            networks += try Self.networks(in: TemplateSource(builtIn: "cloudflare-networks.txt", folder: fleet.folder))
            why.append("Cloudflare passes customers on")
        case .networks(let list):
            networks += list
            why.append("the declared CDN passes customers on")
        }
        let text = why.joined(separator: ", and ")
        return (networks, text.prefix(1).uppercased() + text.dropFirst())
    }

    /// The lines of a list of networks that are no comments.
    static func networks(in source: TemplateSource) throws -> [String] {
        let lines = source.text.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
        let networks = lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        if let odd = networks.first(where: { !$0.allSatisfy { $0.isHexDigit || ".:/".contains($0) } }) {
            throw BasculeError(
                .catalogueTemplate, "the list \(source.name) holds \(odd), which is no network", at: source.place)
        }
        return networks
    }

    /// Lets a web server's account read the folders that it sends by itself, and nothing else of the app's.
    ///
    /// By access lists, not by the app's group: that one may also read its secrets.
    mutating func letRead(_ app: App, user: String, on node: NodeName) throws {
        for folder in app.files.values.map(\.folder).sorted() where folder.hasPrefix("/") {
            try packages(["acl"], on: node, origin: Self.nginxOrigin)
            let list = "user:\(user):rX,default:user:\(user):rX"
            let command = CommandSpec(
                "web-reads-\(folder)", command: ["setfacl", "--recursive", "--modify", list, folder],
                unless: ["runuser", "-u", user, "--", "test", "-r", folder, "-a", "-x", folder])
            let declared = ResourceID(node: node, kind: "directory", name: folder)
            try add(.command(command), on: node, requires: [declared], origin: Self.nginxOrigin)
        }
    }
}
