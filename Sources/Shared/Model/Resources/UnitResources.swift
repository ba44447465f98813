/// A systemd unit: its own file or drop-ins where Bascule provides them, and the state it is to be in.
package struct UnitSpec: Hashable, Codable, Sendable {
    /// What the unit is to do.
    package enum State: String, Hashable, Codable, Sendable { case running, stopped }

    /// With its suffix, e.g. `nginx.service`.
    package var name: String
    /// The unit file for `/etc/systemd/system`; nil where a package brings it.
    package var content: Content?
    /// Drop-in files by their name, e.g. `10-limits.conf`.
    package var dropIns: [String: Content]
    package var state: State?
    package var enabled: Bool?
    package var masked: Bool
    /// Files whose change asks for a reload.
    package var reloadOn: [String]
    /// Files whose change asks for a restart.
    package var restartOn: [String]
    /// An argument vector that must succeed before a start, restart or reload (a configuration check).
    package var check: [String]?

    package init(
        _ name: String, content: Content? = nil, dropIns: [String: Content] = [:], state: State? = .running,
        enabled: Bool? = true, masked: Bool = false, reloadOn: [String] = [], restartOn: [String] = [],
        check: [String]? = nil
    ) {
        (self.name, self.content, self.dropIns, self.state) = (name, content, dropIns, state)
        (self.enabled, self.masked, self.reloadOn, self.restartOn, self.check) = (
            enabled, masked, reloadOn, restartOn, check
        )
    }
}

/// A unit as systemd and the disk know it.
package struct UnitObserved: Hashable, Codable, Sendable {
    /// systemd's LoadState, e.g. `loaded`, `not-found`, `masked`.
    package var load: String
    /// systemd's ActiveState, e.g. `active`, `inactive`, `failed`.
    package var active: String
    /// systemd's UnitFileState, e.g. `enabled`, `disabled`, `static`.
    package var unitFile: String
    /// Digest of the unit file that stands in `/etc/systemd/system`, and the one that is desired there.
    package var contentDigest: Digest?
    package var desiredContentDigest: Digest?
    /// The same for drop-ins, by file name. Only the declared ones.
    package var dropInDigests: [String: Digest]
    package var desiredDropInDigests: [String: Digest]
    /// systemd has not read the unit files as they are now.
    package var needsDaemonReload: Bool
    /// The running unit was started before the files of `restartOn` became what they are.
    package var restartPending: Bool
    /// The running unit was started or reloaded before the files of `reloadOn` became what they are.
    package var reloadPending: Bool
    /// Its last start was not even tried, because one of its own conditions does not hold here; nil is false.
    package var conditionFailed: Bool?

    package init(
        load: String, active: String, unitFile: String, contentDigest: Digest? = nil,
        desiredContentDigest: Digest? = nil,
        dropInDigests: [String: Digest] = [:], desiredDropInDigests: [String: Digest] = [:],
        needsDaemonReload: Bool = false,
        restartPending: Bool = false, reloadPending: Bool = false, conditionFailed: Bool? = nil
    ) {
        self.conditionFailed = conditionFailed
        (self.load, self.active, self.unitFile) = (load, active, unitFile)
        (self.contentDigest, self.desiredContentDigest) = (contentDigest, desiredContentDigest)
        (self.dropInDigests, self.desiredDropInDigests) = (dropInDigests, desiredDropInDigests)
        (self.needsDaemonReload, self.restartPending, self.reloadPending) = (
            needsDaemonReload, restartPending, reloadPending
        )
    }
}

extension UnitSpec {
    package func verdict(_ observed: UnitObserved) -> Verdict {
        var list = DifferenceList()
        var action = ChangeAction.update
        func short(_ digest: Digest?) -> String? { digest.map { "sha256 \($0.rawValue.prefix(12))" } }
        let unitChanges =
            (content != nil && observed.contentDigest != observed.desiredContentDigest)
            || dropIns.keys.contains { observed.dropInDigests[$0] != observed.desiredDropInDigests[$0] }
        if content != nil, observed.contentDigest != observed.desiredContentDigest {
            list.add(
                Difference(
                    "unit file", before: short(observed.contentDigest), after: short(observed.desiredContentDigest)))
            if observed.contentDigest == nil { action = .create }
        }
        for name in dropIns.keys.sorted() where observed.dropInDigests[name] != observed.desiredDropInDigests[name] {
            list.add(
                Difference(
                    "drop-in \(name)", before: short(observed.dropInDigests[name]),
                    after: short(observed.desiredDropInDigests[name])))
        }
        if observed.needsDaemonReload {
            list.add(Difference("systemd", before: "knows an older unit file", after: "reads it again"))
        }
        let isMasked = observed.load == "masked" || observed.unitFile.hasPrefix("masked")
        if masked != isMasked { list.compare("masked", isMasked, masked) }
        if let enabled, !masked {
            let isEnabled = ["enabled", "enabled-runtime", "static", "alias", "indirect", "generated"].contains(
                observed.unitFile)
            if isEnabled != enabled, !(observed.unitFile == "static" || observed.unitFile == "generated") {
                list.compare("enabled", isEnabled, enabled)
            }
        }
        let isRunning = ["active", "activating", "reloading"].contains(observed.active)
        switch state {
        case .running? where !masked && !isRunning && observed.conditionFailed == true:
            // Nothing that an apply can do: the unit says itself that it is not for this kind of machine.
            if list.isEmpty {
                return .unreachable(
                    reason: "a condition of \(name) does not hold on this machine, so it does not start")
            }
        case .running? where !masked && !isRunning:
            list.add(Difference("state", before: observed.active, after: "running"))
            action = list.all.count == 1 ? .start : action
        case .stopped? where isRunning:
            list.add(Difference("state", before: observed.active, after: "stopped"))
            action = list.all.count == 1 ? .stop : action
        case .running? where observed.restartPending || (isRunning && unitChanges):
            list.add(Difference("process", before: "runs an older configuration", after: "restarted"))
            action = .restart
        case .running? where observed.reloadPending:
            list.add(Difference("process", before: "runs an older configuration", after: "reloaded"))
            action = .reload
        default: break
        }
        return list.verdict(action, satisfied: "\(observed.active), \(observed.unitFile)")
    }
}

/// A timer without cron: a service of type oneshot and the timer that starts it.
package struct TimerSpec: Hashable, Codable, Sendable {
    /// Without suffix; makes `NAME.service` and `NAME.timer`.
    package var name: String
    /// systemd's OnCalendar expression.
    package var calendar: String
    /// The argument vector to run.
    package var command: [String]
    package var user: String
    package var state: Presence

    package init(_ name: String, calendar: String, command: [String], user: String = "root", state: Presence = .present)
    {
        (self.name, self.calendar, self.command, self.user, self.state) = (name, calendar, command, user, state)
    }
}

/// A timer as it is.
package struct TimerObserved: Hashable, Codable, Sendable {
    package var digest: Digest?
    package var desiredDigest: Digest?
    package var active: Bool
    package var enabled: Bool

    package init(digest: Digest?, desiredDigest: Digest?, active: Bool, enabled: Bool) {
        (self.digest, self.desiredDigest, self.active, self.enabled) = (digest, desiredDigest, active, enabled)
    }
}

extension TimerSpec {
    package func verdict(_ observed: TimerObserved) -> Verdict {
        if state == .absent {
            return observed.digest == nil && !observed.active
                ? .satisfied(reason: "absent")
                : .change(Change(.delete, [Difference("timer", before: calendar, after: nil)]))
        }
        var list = DifferenceList()
        if observed.digest != observed.desiredDigest {
            list.add(
                Difference(
                    "schedule", before: observed.digest == nil ? nil : "another",
                    after: "\(calendar): \(command.joined(separator: " "))"))
        }
        list.compare("active", observed.active, true)
        list.compare("enabled", observed.enabled, true)
        return list.verdict(observed.digest == nil ? .create : .update, satisfied: "runs \(calendar)")
    }
}
