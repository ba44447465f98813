import BasculeModel

/// What a node gives up when its disk runs full, in this order. Never data, never the write-ahead log.
package enum Sacrifice: CaseIterable, Sendable {
    case releases, journals, downloads

    package static let order = allCases

    /// Gives it up; tells what it was, nil where there was nothing.
    package func give(_ releases: [ReleaseSpec], _ context: NodeContext) throws -> String? {
        switch self {
        case .releases:
            let names = try releases.flatMap { try ReleaseKeeper.giveUp($0, context) }
            return names.isEmpty ? nil : "old releases \(names.joined(separator: ", "))"
        case .journals:
            guard FileIdentity(path: "/var/log/journal") != nil else { return nil }
            try Subprocess.require(
                ["journalctl", "--quiet", "--rotate", "--vacuum-size=16M"], "Shortening the system's journal")
            return "the system's journal but for its newest 16 MiB"
        case .downloads:
            let archives = (directoryNames("/var/cache/apt/archives") ?? []).filter { $0.hasSuffix(".deb") }
            guard !archives.isEmpty, !AptLock.isHeld else { return nil }
            try Subprocess.require(
                ["apt-get", "clean"], "Removing downloaded packages", code: .packageFailed, hint: nil,
                .init(environment: Apt.environment, deadline: .seconds(60)))
            return "\(archives.count) downloaded packages"
        }
    }
}
