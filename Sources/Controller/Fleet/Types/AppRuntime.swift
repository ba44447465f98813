import BasculeModel

/// Where PM2 itself comes from, for apps with `runtime: pm2`.
package enum PM2Source: Sendable, Equatable {
    /// A version from the npm registry, exactly.
    case npm(String)
    /// A tar archive with a `node_modules` folder that holds PM2 and all it needs, relative to the fleet's folder or
    /// absolute.
    case tarball(String)
    /// A folder of the node where PM2 already is: the one with its `package.json`.
    case path(String)
}

private struct NPMSource: Declared {
    var version = ""
    static var about: String { "PM2 from the npm registry" }
    static var fields: [Field<NPMSource>] {
        [.key("npm", \.version, .name(.release), required: true, "Its version, exactly")]
    }
}

private struct TarballSource: Declared {
    var file = ""
    static var about: String { "PM2 from an archive of this machine" }
    static var fields: [Field<TarballSource>] {
        [
            .key(
                "tarball", \.file, .localPath, required: true,
                "A tar archive of a node_modules folder with PM2 and all it needs")
        ]
    }
}

private struct InstalledSource: Declared {
    var folder = ""
    static var about: String { "PM2 as it already is on the node" }
    static var fields: [Field<InstalledSource>] {
        [.key("path", \.folder, .plainPath, required: true, "The folder with PM2's package.json, on the node")]
    }
}

extension Codec where Value == PM2Source {
    static var pm2Source: Codec {
        var codec = Codec.variant(
            "a mapping with 'npm', 'tarball' or 'path'",
            [
                Variant("npm", NPMSource.self) { .npm($0.version) },
                Variant("tarball", TarballSource.self) { .tarball($0.file) },
                Variant("path", InstalledSource.self) { .path($0.folder) },
            ])
        codec.show = { source in
            guard case .npm(let version) = source else { return nil }
            return .object([("npm", .text(version))])
        }
        return codec
    }
}
