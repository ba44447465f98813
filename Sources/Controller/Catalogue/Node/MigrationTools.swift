import BasculeFleet
import BasculeModel

/// What the migration itself needs on the new nodes.
extension Compilation {
    mutating func placeMigrationTools() throws {
        guard let migration = fleet.migration else { return }
        let origin = "migration"
        let target = Set([Role.database, .web, .app].flatMap { topology.nodes(with: $0) }).sorted()
        // The conductor tells the old edge its three words over SSH.
        for node in target { try packages(["openssh-client"], on: node, origin: origin) }
        for (name, source) in migration.sources.sorted(by: { $0.key < $1.key }) {
            let path = "migration.sources.\(name)"
            switch source {
            case .postgres(let source):
                try note(source.url, .given)
                if let fence = source.fence { try note(fence, .given) }
            case .redis(let source): try note(source.url, .given)
            case .mysql(let source):
                try note(source.url, .given)
                if let fence = source.fence { try note(fence, .given) }
                // The client library, loaded by the task that reads the source; the zones for rules that name one.
                for node in topology.nodes(with: .database) {
                    try packages(["libmariadb3", "tzdata"], on: node, origin: "\(origin) source \(name)")
                }
                // Its archive: mariadb-dump speaks to MySQL, too.
                if migration.finalBackup != .off {
                    for node in target { try packages(["mariadb-client"], on: node, origin: origin) }
                }
            case .files(let source):
                if let key = source.key { try note(key, .given) }
                for node in topology.nodes(with: .app) {
                    try packages(["rsync", "openssh-client"], on: node, origin: origin)
                    try addUploads(source, on: node, origin: "\(origin) source \(name)", path: path)
                }
            }
        }
        if let tsig = migration.dns?.server.tsig { try note(tsig, .given) }
    }

    /// Where fetched files will stand: the owner's, so that the app can go on writing there.
    private mutating func addUploads(_ source: FilesSource, on node: NodeName, origin: String, path: String) throws {
        let owner = source.owner ?? soleAppUser ?? "root"
        let spec = DirectorySpec(source.to, permissions: Permissions(owner: owner, group: owner, mode: 0o750))
        try add(.directory(spec), on: node, origin: origin)
    }

    /// The user of the fleet's only app.
    var soleAppUser: String? {
        fleet.apps.count == 1 ? fleet.apps.first.map { $0.value.user ?? $0.key.rawValue } : nil
    }
}
