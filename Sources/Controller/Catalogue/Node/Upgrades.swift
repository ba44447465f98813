import BasculeModel

/// Services that keep data, or other people's connections, are upgraded by an apply and by nothing else.
extension Compilation {
    /// Takes a service's packages out of unattended upgrades; harmless where there are none.
    /// - Parameter pattern: what the names of its packages begin with.
    mutating func keepFromUnattendedUpgrades(
        _ service: String, _ pattern: String, on node: NodeName, origin: String
    ) throws {
        let text = """
            // Only an apply upgrades \(service): an upgrade restarts it.
            Unattended-Upgrade::Package-Blacklist { "^\(pattern)"; };

            """
        let file = FileSpec("/etc/apt/apt.conf.d/52bascule-\(service)", Content(text))
        try add(.file(file), on: node, origin: origin)
    }
}
