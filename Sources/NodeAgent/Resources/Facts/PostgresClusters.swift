import BasculeModel

/// PostgreSQL's clusters, read from their files: also those whose server does not run.
package enum PostgresClusters {
    /// - Parameters:
    ///   - settings: where `VERSION/NAME/postgresql.conf` stand.
    ///   - data: where `VERSION/NAME` holds the databases, unless the settings name another folder.
    package static func found(
        settings: String = "/etc/postgresql", data: String = "/var/lib/postgresql"
    ) -> [NodeFacts.PostgresCluster] {
        let tops = [settings, data]
        return names(tops).flatMap { word -> [NodeFacts.PostgresCluster] in
            // Up to 9.6 the first number was not all of the major version.
            guard let version = word.split(separator: ".").first.flatMap({ Int($0) }) else { return [] }
            return names(tops.map { "\($0)/\(word)" }).compactMap { name in
                let folder = dataFolder("\(settings)/\(word)/\(name)/postgresql.conf") ?? "\(data)/\(word)/\(name)"
                guard FileIdentity(path: "\(folder)/PG_VERSION") != nil else { return nil }
                return NodeFacts.PostgresCluster(
                    version: version, name: name, folder: folder, holdsData: holdsData("\(folder)/base"))
            }
        }
    }

    private static func names(_ folders: [String]) -> [String] {
        Set(folders.flatMap { directoryNames($0) ?? [] }).sorted()
    }

    /// The quoted value of `data_directory`; the last one counts.
    private static func dataFolder(_ path: String) -> String? {
        guard let bytes = try? AtomicFile.read(path) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.last(where: { $0.drop { $0 == " " }.hasPrefix("data_directory") }) else { return nil }
        let parts = line.split(separator: "'", omittingEmptySubsequences: false)
        return parts.count > 1 && parts[1].hasPrefix("/") ? String(parts[1]) : nil
    }

    /// What an initdb makes has numbers below 16384 (FirstNormalObjectId), what anybody makes later has not.
    private static func holdsData(_ base: String) -> Bool {
        func isMade(_ name: String) -> Bool {
            name.split(whereSeparator: { $0 == "." || $0 == "_" }).first.flatMap { Int($0) }.map { $0 >= 16384 }
                ?? false
        }
        let databases = directoryNames(base) ?? []
        return databases.contains { isMade($0) || (directoryNames("\(base)/\($0)") ?? []).contains(where: isMade) }
    }
}
