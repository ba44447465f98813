import BasculeModel

/// What systemd knows of a unit.
package struct UnitStatus: Hashable, Sendable {
    /// LoadState, ActiveState and UnitFileState in systemd's words.
    package var load: String
    package var active: String
    package var unitFile: String
    /// systemd has not read the unit's files as they are now.
    package var needsDaemonReload: Bool
    /// One run of the unit, in hexadecimal; empty where it never ran.
    package var invocation: String
    /// When its last start began and when it became active: microseconds since 1970, 0 where it never did.
    package var startBegan: UInt64
    package var activeSince: UInt64
    /// Its last start was given up because one of its conditions does not hold.
    package var conditionFailed = false
    /// When it last went from one state to another, a reload by systemd included: microseconds since 1970.
    package var stateChanged: UInt64 = 0

    package var isActive: Bool { ["active", "reloading"].contains(active) }

    private static let properties = [
        "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "InvocationID",
        "InactiveExitTimestamp", "ActiveEnterTimestamp", "ConditionResult", "ConditionTimestamp",
        "StateChangeTimestamp",
    ]

    /// The state of many units in two round trips on one connection.
    package static func read(_ names: [String]) throws -> [String: UnitStatus] {
        guard !names.isEmpty else { return [:] }
        return try Systemctl.links.withLock { _ in try ask(names) }
    }

    /// The same without waiting for a change that somebody makes at the moment: `needsDaemonReload` may be of that.
    static func readAtOnce(_ names: [String]) throws -> [String: UnitStatus] { try names.isEmpty ? [:] : ask(names) }

    private static func ask(_ names: [String]) throws -> [String: UnitStatus] {
        let bus = try SystemdBus()
        let manager = "/org/freedesktop/systemd1"
        let loaded = try bus.ask(
            names.map { SystemdBus.Call(manager, "org.freedesktop.systemd1.Manager", "LoadUnit", [$0]) })
        let known = zip(names, loaded).filter { $0.1.error == nil }
        let calls = known.flatMap { pair in
            properties.map {
                SystemdBus.Call(
                    pair.1.value, "org.freedesktop.DBus.Properties", "Get", ["org.freedesktop.systemd1.Unit", $0])
            }
        }
        let answers = try calls.isEmpty ? [] : bus.ask(calls).map { $0.error == nil ? $0.value : "" }
        var found: [String: UnitStatus] = [:]
        for (index, pair) in known.enumerated() {
            let values = answers[(index * properties.count)..<((index + 1) * properties.count)].map { $0 }
            found[pair.0] = UnitStatus(
                load: values[0], active: values[1], unitFile: values[2], needsDaemonReload: values[3] == "1",
                invocation: values[4], startBegan: UInt64(values[5]) ?? 0, activeSince: UInt64(values[6]) ?? 0,
                conditionFailed: values[7] == "0" && (UInt64(values[8]) ?? 0) > 0,
                stateChanged: UInt64(values[9]) ?? 0)
        }
        return found
    }

    /// For a name that systemd refuses.
    static let unknown = UnitStatus(
        load: "not-found", active: "inactive", unitFile: "", needsDaemonReload: false, invocation: "", startBegan: 0,
        activeSince: 0)
}
