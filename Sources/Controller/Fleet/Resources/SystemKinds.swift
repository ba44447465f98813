import BasculeModel

/// `package:` one name or a list.
package struct PackageResource: Sendable, Equatable {
    package var names: [String] = []
    /// An exact Debian version; only with one name.
    package var version: String?
    package var state = Presence.present
    package init() {}
}

/// `user:`
package struct UserResource: Sendable, Equatable {
    package var name = ""
    /// Default false.
    package var system = false
    package var uid: Int?
    /// Primary group; without it, one of the same name.
    package var group: String?
    /// Supplementary groups.
    package var groups: [String] = []
    package var home: String?
    /// Default /usr/sbin/nologin.
    package var shell = "/usr/sbin/nologin"
    package var state = Presence.present
    package init() {}
}

/// `group:`
package struct GroupResource: Sendable, Equatable {
    package var name = ""
    package var system = false
    package var gid: Int?
    package var state = Presence.present
    package init() {}
}

/// `unit:`
package struct UnitResource: Sendable, Equatable {
    package enum State: String, Sendable, Hashable, CaseIterable { case running, stopped }
    /// With its suffix: `nginx.service`.
    package var name = ""
    /// `nil`: left as it is.
    package var state: State?
    /// `nil`: left as it is.
    package var enabled: Bool?
    /// Paths whose change reloads it.
    package var reloadOn: [String] = []
    /// Paths whose change restarts it.
    package var restartOn: [String] = []
    /// The whole unit file; `nil` when a package brings it.
    package var content: String?
    /// Drop-in text by name, without `.conf`.
    package var dropIns: [String: String] = [:]
    package init() {}
}

/// `timer:`, a service and its timer.
package struct TimerResource: Sendable, Equatable {
    /// Without suffix; gives NAME.timer and NAME.service.
    package var name = ""
    /// An `OnCalendar` expression.
    package var schedule = ""
    package var command = Command([])
    package var user = "root"
    /// Runs at boot what was missed. Default true.
    package var persistent = true
    /// Spread of the start. Default 0 s.
    package var randomDelay: Duration = .zero
    package init() {}
}

/// `sysctl:`
package struct SysctlResource: Sendable, Equatable {
    /// `net.core.somaxconn`
    package var key = ""
    package var value = ""
    package init() {}
}

/// `aptRepository:` in deb822 form, signed by its own key only.
package struct AptRepositoryResource: Sendable, Equatable {
    package var name = ""
    package var uris: [String] = []
    package var suites: [String] = []
    /// Default main.
    package var components = ["main"]
    /// `nil`: the node's own.
    package var architectures: [String] = []
    /// The public key file, relative to the fleet's folder.
    package var key = ""
    package init() {}
}

/// `firewall:` an opening by name.
package struct FirewallResource: Sendable, Equatable {
    package enum Transport: String, Sendable, Hashable, CaseIterable { case tcp, udp }
    package var name = ""
    /// Destination ports.
    package var allow: [Int] = []
    package var transport = Transport.tcp
    /// Addresses or CIDR networks; empty means anywhere.
    package var from: [String] = []
    package init() {}
}
