/// A Debian package. All package changes of one node become one transaction.
package struct PackageSpec: Hashable, Codable, Sendable {
    package var name: String
    package var state: Presence
    /// An exact version; nil takes what the node's sources offer and never upgrades by itself.
    package var version: String?

    package init(_ name: String, state: Presence = .present, version: String? = nil) {
        (self.name, self.state, self.version) = (name, state, version)
    }
}

/// A package as dpkg's database knows it.
package struct PackageObserved: Hashable, Codable, Sendable {
    /// nil where it is not installed at all.
    package var version: String?
    /// dpkg's status word, e.g. `installed`, `half-configured`, `unpacked`, `config-files`.
    package var status: String

    package init(version: String?, status: String) { (self.version, self.status) = (version, status) }
}

extension PackageSpec {
    package func verdict(_ observed: PackageObserved) -> Verdict {
        let installed = observed.status == "installed"
        switch state {
        case .absent:
            return observed.version == nil || observed.status == "config-files"
                ? .satisfied(reason: "not installed")
                : .change(Change(.delete, [Difference("version", before: observed.version, after: nil)]))
        case .present:
            guard let current = observed.version, observed.status != "config-files" else {
                return .change(Change(.create, [Difference("version", before: nil, after: version ?? "newest")]))
            }
            var list = DifferenceList()
            if !installed { list.add(Difference("status", before: observed.status, after: "installed")) }
            list.compareWanted("version", current, wanted: version)
            return list.verdict(.update, satisfied: "installed \(current)")
        }
    }
}
