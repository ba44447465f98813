/// An apt repository in deb822 format with its own key.
package struct AptRepositorySpec: Hashable, Codable, Sendable {
    /// File name without suffix under `/etc/apt/sources.list.d`.
    package var name: String
    package var uris: [String]
    package var suites: [String]
    package var components: [String]
    /// The ASCII-armoured signing key, written to `/etc/apt/keyrings/NAME.asc`.
    package var key: Content
    package var state: Presence

    package init(
        _ name: String, uris: [String], suites: [String], components: [String], key: Content, state: Presence = .present
    ) {
        (self.name, self.uris, self.suites) = (name, uris, suites)
        (self.components, self.key, self.state) = (components, key, state)
    }
}

/// An apt repository as it is on disk: source and key together.
package struct AptRepositoryObserved: Hashable, Codable, Sendable {
    package var digest: Digest?
    package var desiredDigest: Digest?
    /// The package lists of this repository were fetched since it last changed.
    package var fetched: Bool

    package init(digest: Digest?, desiredDigest: Digest?, fetched: Bool) {
        (self.digest, self.desiredDigest, self.fetched) = (digest, desiredDigest, fetched)
    }
}

extension AptRepositorySpec {
    package func verdict(_ observed: AptRepositoryObserved) -> Verdict {
        if state == .absent {
            return observed.digest == nil
                ? .satisfied(reason: "absent")
                : .change(Change(.delete, [Difference("source", before: "present", after: nil)]))
        }
        var list = DifferenceList()
        if observed.digest != observed.desiredDigest {
            let source =
                "\(uris.joined(separator: " ")) \(suites.joined(separator: " ")) \(components.joined(separator: " "))"
            list.add(Difference("source", before: observed.digest == nil ? nil : "another", after: source))
        } else if !observed.fetched {
            list.add(Difference("package lists", before: "not fetched", after: "fetched"))
        }
        return list.verdict(observed.digest == nil ? .create : .update, satisfied: "present with its key")
    }
}

/// A kernel setting, live and in `/etc/sysctl.d`.
package struct SysctlSpec: Hashable, Codable, Sendable {
    /// Dotted, e.g. `net.core.somaxconn`.
    package var key: String
    package var value: String

    package init(_ key: String, _ value: String) { (self.key, self.value) = (key, value) }
}

/// A kernel setting as it is.
package struct SysctlObserved: Hashable, Codable, Sendable {
    /// The live value; nil where this kernel has no such key.
    package var live: String?
    /// The value in Bascule's file under `/etc/sysctl.d`.
    package var saved: String?
    /// The kernel would refuse a write (a container, a read-only `/proc/sys`).
    package var writable: Bool

    package init(live: String?, saved: String?, writable: Bool) {
        (self.live, self.saved, self.writable) = (live, saved, writable)
    }
}

extension SysctlSpec {
    package func verdict(_ observed: SysctlObserved) -> Verdict {
        var list = DifferenceList()
        list.compareWanted("saved", observed.saved, wanted: value)
        if observed.live != value {
            if !observed.writable && list.isEmpty {
                return .unreachable(
                    reason: "this kernel refuses \(key) here; it holds after a boot on a machine of its own")
            }
            if observed.writable { list.compareWanted("live", observed.live, wanted: value) }
        }
        return list.verdict(.update, satisfied: "\(value)")
    }
}

/// The node's packet filter: everything that comes in is dropped but what is allowed here.
package struct FirewallSpec: Hashable, Codable, Sendable {
    /// One thing that may come in.
    package struct Rule: Hashable, Codable, Sendable {
        package enum Transport: String, Hashable, Codable, Sendable { case tcp, udp }
        package var transport: Transport
        package var port: Int
        /// Source networks in CIDR notation; empty means anybody.
        package var from: [String]
        /// Who asked for it, e.g. `nginx`.
        package var purpose: String

        package init(_ transport: Transport = .tcp, _ port: Int, from: [String] = [], purpose: String) {
            (self.transport, self.port, self.from, self.purpose) = (transport, port, from, purpose)
        }
    }

    package var rules: [Rule]
    package init(rules: [Rule]) { self.rules = rules }
}

/// The packet filter as it is: the file on disk and the loaded table, both as digests.
package struct FirewallObserved: Hashable, Codable, Sendable {
    package var savedDigest: Digest?
    /// Whether the kernel has the table that the file describes, and the next boot will load it.
    package var loaded: Bool
    package var desiredDigest: Digest?
    /// The rules file, for the preview.
    package var text: String?

    package init(savedDigest: Digest?, loaded: Bool, desiredDigest: Digest?, text: String? = nil) {
        (self.savedDigest, self.loaded, self.desiredDigest, self.text) = (savedDigest, loaded, desiredDigest, text)
    }
}

extension FirewallSpec {
    package func verdict(_ observed: FirewallObserved) -> Verdict {
        var list = DifferenceList()
        if observed.savedDigest != observed.desiredDigest {
            list.add(
                Difference(
                    "rules", before: observed.savedDigest == nil ? nil : "another set",
                    after: rules.map { "\($0.transport.rawValue)/\($0.port) (\($0.purpose))" }.joined(separator: ", ")))
        }
        if !observed.loaded {
            list.add(Difference("in force", before: "not now, or not at the next boot", after: "now and then"))
        }
        return list.verdict(observed.savedDigest == nil ? .create : .update, satisfied: "\(rules.count) rules loaded")
    }
}

/// A self-signed TLS certificate, until the node has a real one.
package struct CertificateSpec: Hashable, Codable, Sendable {
    package var name: String
    package var domains: [String]
    package var certificatePath: String
    package var keyPath: String
    /// Days that it is made for.
    package var days: Int
    /// The user that reads the key; root where nil.
    package var owner: String?

    package init(
        _ name: String, domains: [String], certificatePath: String, keyPath: String, days: Int = 397,
        owner: String? = nil
    ) {
        (self.name, self.domains, self.certificatePath, self.keyPath, self.days) = (
            name, domains, certificatePath, keyPath, days
        )
        self.owner = owner
    }
}

/// A certificate as it is on disk.
package struct CertificateObserved: Hashable, Codable, Sendable {
    package var present: Bool
    /// The DNS names that it is for.
    package var domains: [String]
    /// It ends within a third of its lifetime.
    package var endsSoon: Bool
    /// Certificate and key belong together.
    package var keyMatches: Bool

    package init(present: Bool, domains: [String] = [], endsSoon: Bool = false, keyMatches: Bool = false) {
        (self.present, self.domains, self.endsSoon, self.keyMatches) = (present, domains, endsSoon, keyMatches)
    }
}

extension CertificateSpec {
    package func verdict(_ observed: CertificateObserved) -> Verdict {
        guard observed.present else {
            return .change(
                Change(.create, [Difference("domains", before: nil, after: domains.joined(separator: ", "))]))
        }
        var list = DifferenceList()
        list.compare("domains", observed.domains.sorted(), domains.sorted())
        if observed.endsSoon { list.add(Difference("lifetime", before: "ends soon", after: "\(days) days")) }
        if !observed.keyMatches { list.add(Difference("key", before: "does not match", after: "matches")) }
        return list.verdict(.update, satisfied: "valid for \(domains.joined(separator: ", "))")
    }
}

/// A command whose effect only its probe knows. Shown whole in every plan.
package struct CommandSpec: Hashable, Codable, Sendable {
    package var name: String
    /// The argument vector.
    package var command: [String]
    /// An argument vector that succeeds where nothing is left to do.
    package var unless: [String]
    package var user: String
    package var directory: String?
    /// Seconds until it is killed with its whole group.
    package var timeout: Int

    package init(
        _ name: String, command: [String], unless: [String], user: String = "root", directory: String? = nil,
        timeout: Int = 600
    ) {
        (self.name, self.command, self.unless) = (name, command, unless)
        (self.user, self.directory, self.timeout) = (user, directory, timeout)
    }
}

/// What the probe of a command said.
package struct CommandObserved: Hashable, Codable, Sendable {
    package var done: Bool
    package init(done: Bool) { self.done = done }
}

extension CommandSpec {
    package func verdict(_ observed: CommandObserved) -> Verdict {
        observed.done
            ? .satisfied(reason: "its probe succeeds")
            : .change(Change(.run, [Difference("command", before: nil, after: command.joined(separator: " "))]))
    }
}
