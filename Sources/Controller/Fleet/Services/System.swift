import BasculeModel

/// `services.system`: what makes a node with a role a hardened server. Declared as `system: {}` it is all there; each
/// part can be changed or switched off.
package struct System: Sendable, Equatable {
    /// People who administer the nodes, by their account.
    package var users: [String: Administrator] = [:]
    package var ssh = SSHServer()
    /// `nil` when `bans: off`.
    package var bans: Bans? = Bans()
    /// `nil` when `upgrades: off`.
    package var upgrades: Upgrades? = Upgrades()
    /// `nil` when `time: off`.
    package var time: TimeSync? = TimeSync()
    /// `nil` when `swap: off`.
    package var swap: Swap? = Swap()
    package var journal = Journal()
    /// Weekly comparison of every packaged file with its package's checksum. Default true.
    package var integrity = true
    /// Process accounting: who ran what, and when. Default true.
    package var accounting = true
    /// What is shown before a login.
    package var banner = """
        Authorised access only. This system is private property; its use is monitored and recorded.
        Unauthorised users are prohibited and will be prosecuted: disconnect now if you have no permission.
        """
    /// After how long an idle shell ends. Default 30 min.
    package var idle: Duration = .seconds(1800)
    /// Kernel settings over or beside those of the catalogue.
    package var kernel: [String: String] = [:]
    /// More packages that shall not be there.
    package var remove: [String] = []
    package init() {}

    /// One administrator.
    package struct Administrator: Sendable, Equatable {
        /// Public keys, one line each. They are all that lets somebody in.
        package var keys: [String] = []
        /// May become root without a password, which there is none of. Default true.
        package var sudo = true
        package var groups: [String] = []
        /// Default /bin/bash.
        package var shell = "/bin/bash"
        package init() {}
    }

    /// Who may log in, and how. Passwords never may.
    package struct SSHServer: Sendable, Equatable {
        /// Whether root may log in with a key. Default true: the way back in that every provider sets up.
        package var root = true
        /// Further accounts that may log in.
        package var allow: [String] = []
        /// Whether administrators may forward ports to the node's own loopback (Grafana). Default true.
        package var tunnels = true
        package init() {}
    }

    /// Addresses that guess are shut out for a while.
    package struct Bans: Sendable, Equatable {
        /// Default 5.
        package var failures = 5
        /// Default 10 min.
        package var within: Duration = .seconds(600)
        /// Default 1 h; doubled each time the address comes back.
        package var time: Duration = .seconds(3600)
        /// Networks that are never banned. Whoever holds the controller's key never is, wherever it is.
        package var never: [String] = []
        package init() {}
    }

    /// Unattended upgrades, but for what keeps data.
    package struct Upgrades: Sendable, Equatable {
        package enum Origins: String, Sendable, Hashable, CaseIterable { case security, all }
        /// Default security.
        package var from = Origins.security
        /// When a node that needs it may restart by itself; `nil` when `reboot: off`. Default Sundays, 04:30.
        package var reboot: String? = "Sun 04:30"
        package init() {}
    }

    /// chrony.
    package struct TimeSync: Sendable, Equatable {
        /// Default Debian's pool.
        package var servers = ["2.debian.pool.ntp.org"]
        /// Whether the servers prove who they are (NTS). Default false: the pool cannot.
        package var authenticated = false
        package init() {}
    }

    /// A swap file.
    package struct Swap: Sendable, Equatable {
        /// `nil`: as much as memory, at most 2 GiB.
        package var size: ByteSize?
        package init() {}
    }

    /// What journald keeps.
    package struct Journal: Sendable, Equatable {
        /// Default 512 MiB.
        package var size = ByteSize.mebibytes(512)
        /// Default 30 days.
        package var keep: Duration = .seconds(30 * 86_400)
        package init() {}
    }
}

extension System: Declared {
    static var about: String { "Hardening of every node with a role" }
    static var fields: [Field<System>] {
        [
            .key("users", \.users, .map(.account, { $0 }, .object), "Administrators by account; not root"),
            .key("ssh", \.ssh, .object, "Who may log in, and how"),
            .key("bans", \.bans, .orOff(.object), "fail2ban, or off"),
            .key("upgrades", \.upgrades, .orOff(.object), "Unattended upgrades, or off"),
            .key("time", \.time, .orOff(.object), "chrony, or off"),
            .key("swap", \.swap, .orOff(.object), "A swap file, or off"),
            .key("journal", \.journal, .object, "What journald keeps"),
            .key("integrity", \.integrity, .flag, "Compare packaged files with their checksums every week"),
            .key(
                "accounting", \.accounting, .flag, "Have the kernel note every program that ends; `lastcomm` shows it"),
            .key("banner", \.banner, .text("text of a few lines"), "Shown before a login"),
            .key("idle", \.idle, .duration, "After how long an idle shell ends"),
            .key(
                "kernel", \.kernel, .map(.sysctl, { $0 }, .line("a value")),
                "Kernel settings over or beside the catalogue's own"),
            .key("remove", \.remove, .list(.name(.package)), "More packages that shall not be there"),
        ]
    }
}

extension System.Administrator: Declared {
    static var about: String { "Somebody who administers the nodes" }
    static var fields: [Field<System.Administrator>] {
        [
            .key("keys", \.keys, .list(.publicKey), required: true, "Public keys that let them in"),
            .key("sudo", \.sudo, .flag, "May become root"),
            .key("groups", \.groups, .list(.name(.account)), "Supplementary groups"),
            .key("shell", \.shell, .absolutePath, "Login shell"),
        ]
    }
}

extension System.SSHServer: Declared {
    static var about: String { "Who may log in, and how" }
    static var fields: [Field<System.SSHServer>] {
        [
            .key("root", \.root, .flag, "Whether root may log in with a key"),
            .key("allow", \.allow, .list(.name(.account)), "Further accounts that may log in"),
            .key("tunnels", \.tunnels, .flag, "Whether administrators may forward ports to the node's loopback"),
        ]
    }
}

extension System.Bans: Declared {
    static var about: String { "When an address that guesses is shut out" }
    static var fields: [Field<System.Bans>] {
        [
            .key("failures", \.failures, .integer(2...1000), "Failed logins until the ban"),
            .key("within", \.within, .duration, "Time over which they are counted"),
            .key("time", \.time, .duration, "Length of the first ban; each next one is twice as long"),
            .key("never", \.never, .list(.network), "Networks that are never banned"),
        ]
    }
}

extension System.Upgrades: Declared {
    static var about: String { "Upgrades that install themselves" }
    static var fields: [Field<System.Upgrades>] {
        [
            .key("from", \.from, .choice(), "Security fixes only, or all of the release"),
            .key("reboot", \.reboot, .orOff(.rebootTime), "When a node that needs it restarts by itself, or off"),
        ]
    }
}

extension System.TimeSync: Declared {
    static var about: String { "Time from the network, by chrony" }
    static var fields: [Field<System.TimeSync>] {
        [
            .key("servers", \.servers, .list(.host), "Servers or pools"),
            .key("authenticated", \.authenticated, .flag, "Whether they must prove themselves (NTS)"),
        ]
    }
}

extension System.Swap: Declared {
    static var about: String { "A swap file" }
    static var fields: [Field<System.Swap>] {
        [.key("size", \.size, .size, "Its size; as much as memory and at most 2GiB if absent")]
    }
}

extension System.Journal: Declared {
    static var about: String { "What journald keeps" }
    static var fields: [Field<System.Journal>] {
        [
            .key("size", \.size, .size, "Most space on disk"),
            .key("keep", \.keep, .duration, "Longest age"),
        ]
    }
}
