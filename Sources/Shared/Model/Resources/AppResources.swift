/// One built release of an app, in a directory of its own that never changes afterwards.
package struct ReleaseSpec: Hashable, Codable, Sendable {
    package var app: String
    /// Digest over source, build commands, `buildEnv`, `env` and start command: another value is another release.
    package var release: Digest
    /// The source as an uploaded tar archive (uncompressed or gzip).
    package var archive: Content
    /// Command lines, run one after the other in the release's `app` directory as the app's user.
    package var build: [String]
    package var buildEnv: [String: Content]
    package var env: [String: Content]
    package var user: String
    /// `/srv/apps/APP`; releases stand in `ROOT/releases/RELEASE/{app,env}`.
    package var root: String
    /// How many releases stay, the current one included.
    package var keep: Int
    /// Seconds for the whole build.
    package var timeout: Int
    /// Digest over all that `release` covers but the source: with it a node can tell what another source's release is.
    package var recipe: Digest?

    package init(
        app: String, release: Digest, archive: Content, build: [String], buildEnv: [String: Content],
        env: [String: Content],
        user: String, root: String, keep: Int = 3, timeout: Int = 1800, recipe: Digest? = nil
    ) {
        self.recipe = recipe
        (self.app, self.release, self.archive, self.build, self.buildEnv) = (app, release, archive, build, buildEnv)
        (self.env, self.user, self.root, self.keep, self.timeout) = (env, user, root, keep, timeout)
    }

    /// What a release's digest is taken over: the same on the workstation and on a node.
    package static func canonical(archive: Digest, recipe: Digest) -> [UInt8] {
        Array("bascule release 2\n\(archive.rawValue)\n\(recipe.rawValue)\n".utf8)
    }

    /// Where this release stands.
    package var directory: String { "\(root)/releases/\(release.rawValue.prefix(16))" }
}

/// A release as it is on disk.
package struct ReleaseObserved: Hashable, Codable, Sendable {
    /// It was built to its end.
    package var built: Bool
    package init(built: Bool) { self.built = built }
}

extension ReleaseSpec {
    package func verdict(_ observed: ReleaseObserved) -> Verdict {
        observed.built
            ? .satisfied(reason: "built")
            : .change(
                Change(
                    .create,
                    [Difference("release", before: nil, after: String(release.rawValue.prefix(12)))]
                        + build.map {
                            Difference("build", before: nil, after: $0)
                        }))
    }
}

/// The running app: `current` points to the release and every instance runs it and is healthy behind the proxy.
package struct AppSpec: Hashable, Codable, Sendable {
    package var app: String
    package var release: Digest
    package var root: String
    /// One instance a port, on loopback; the unit is `UNIT@PORT.service`.
    package var ports: [Int]
    /// Unit template without `@`, e.g. `bascule-shop`.
    package var unit: String
    package var healthPath: String
    /// Seconds for an instance to answer its health check with a 2xx status.
    package var healthTimeout: Int
    /// Seconds that requests in flight get when an instance leaves the upstream.
    package var drain: Int
    /// The nginx file with this app's `upstream` block, written by the agent; nil where no proxy stands before it.
    package var upstreamFile: String?
    /// Name of the `upstream` block.
    package var upstream: String

    package init(
        app: String, release: Digest, root: String, ports: [Int], unit: String, healthPath: String, healthTimeout: Int,
        drain: Int, upstreamFile: String?, upstream: String
    ) {
        (self.app, self.release, self.root, self.ports, self.unit) = (app, release, root, ports, unit)
        (self.healthPath, self.healthTimeout, self.drain) = (healthPath, healthTimeout, drain)
        (self.upstreamFile, self.upstream) = (upstreamFile, upstream)
    }
}

/// The app as it runs.
package struct AppObserved: Hashable, Codable, Sendable {
    /// The release that `current` points to, by its directory name.
    package var current: String?
    /// Instances that run and were started from the current release and unit file, by port.
    package var upToDate: [Int]
    /// Instances that answer their health check, by port.
    package var healthy: [Int]
    /// Ports that the upstream file lists.
    package var upstreamPorts: [Int]
    /// The token that released what is current; nil where an apply did.
    package var releasedBy: String?

    package init(
        current: String?, upToDate: [Int] = [], healthy: [Int] = [], upstreamPorts: [Int] = [],
        releasedBy: String? = nil
    ) {
        self.releasedBy = releasedBy
        (self.current, self.upToDate, self.healthy, self.upstreamPorts) = (current, upToDate, healthy, upstreamPorts)
    }
}

extension AppSpec {
    package func verdict(_ observed: AppObserved) -> Verdict {
        var list = DifferenceList()
        let wanted = String(release.rawValue.prefix(16))
        if observed.current != wanted {
            list.add(
                Difference(
                    "release",
                    before: observed.current.map { current in
                        current.prefix(12) + (observed.releasedBy.map { " (released by token \($0))" } ?? "")
                    }, after: String(wanted.prefix(12)))
            )
        }
        let stale = ports.filter { !observed.upToDate.contains($0) }
        if !stale.isEmpty {
            list.add(
                Difference(
                    "instances", before: "\(ports.count - stale.count) of \(ports.count) up to date",
                    after: "\(ports.count) of \(ports.count)"))
        }
        let ill = ports.filter { observed.upToDate.contains($0) && !observed.healthy.contains($0) }
        if !ill.isEmpty {
            list.add(
                Difference(
                    "health", before: "port \(ill.map(String.init).joined(separator: ", ")) is not healthy",
                    after: "healthy"))
        }
        if upstreamFile != nil, observed.upstreamPorts.sorted() != ports.sorted() {
            list.add(
                Difference(
                    "upstream", before: observed.upstreamPorts.map(String.init).joined(separator: ", "),
                    after: ports.map(String.init).joined(separator: ", ")))
        }
        let action: ChangeAction = observed.current == nil ? .create : observed.current == wanted ? .restart : .update
        return list.verdict(action, satisfied: "\(ports.count) healthy instances")
    }
}
