/// What was there before a change, with all that is needed to put it back. Made and used by the agent; bytes of files
/// lie in its content-addressed store, named by keyed digests, so that a capture may travel and tells nothing.
package struct Capture: Hashable, Codable, Sendable {
    package var id: ResourceID
    /// The resource that was about to change.
    package var resource: Resource
    package var prior: Prior

    package init(id: ResourceID, resource: Resource, prior: Prior) {
        (self.id, self.resource, self.prior) = (id, resource, prior)
    }

    /// The digests of the stored objects that putting it back needs: a store may forget all others.
    package var objects: Set<Digest> {
        switch prior {
        case .paths(let paths): Set(paths.values.compactMap(\.object))
        case .unit(let unit): Set(unit.files.values.compactMap(\.object))
        case .postgresRole(_, let verifier): verifier.map { [$0] } ?? []
        default: []
        }
    }

    /// The state of before, by family.
    package enum Prior: Hashable, Codable, Sendable {
        /// What stood at each path that the resource writes.
        case paths([String: PathSnapshot])
        /// The installed version; nil where the package was not there.
        case package(version: String?)
        case unit(UnitSnapshot)
        case group(GroupObserved)
        case user(UserObserved)
        /// The setting's file, and the live value.
        case sysctl([String: PathSnapshot], live: String?)
        /// The role as it was, and where its password's verifier is stored.
        case postgresRole(PostgresRoleObserved, verifier: Digest?)
        case postgresDatabase(PostgresDatabaseObserved)
        case postgresExtension(PostgresExtensionObserved)
        case postgresSetting(PostgresSettingObserved)
        case release(ReleaseObserved)
        /// The release that was current, by its directory's name.
        case app(current: String?)
        /// Nothing can put it back; the reason is for people.
        case irreversible(reason: String)
    }
}

/// What stood at a path.
package struct PathSnapshot: Hashable, Codable, Sendable {
    package var type: PathType
    package var permissions: Permissions?
    /// A file's bytes, as the store calls them.
    package var object: Digest?
    /// A link's target.
    package var target: String?

    package init(type: PathType, permissions: Permissions? = nil, object: Digest? = nil, target: String? = nil) {
        (self.type, self.permissions, self.object, self.target) = (type, permissions, object, target)
    }
}

/// A unit as it was: its files, and systemd's words for its state.
package struct UnitSnapshot: Hashable, Codable, Sendable {
    package var files: [String: PathSnapshot]
    package var active: String
    package var unitFile: String

    package init(files: [String: PathSnapshot], active: String, unitFile: String) {
        (self.files, self.active, self.unitFile) = (files, active, unitFile)
    }
}
