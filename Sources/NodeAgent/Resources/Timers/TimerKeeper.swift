import BasculeCrypto
import BasculeModel

/// Timers: a oneshot service and the systemd timer that starts it.
enum TimerKeeper {
    static func unit(_ spec: TimerSpec) -> String { "\(spec.name).timer" }

    static func observe(_ spec: TimerSpec, _ statuses: [String: UnitStatus]) throws -> TimerObserved {
        let texts = files(spec)
        var present: [UInt8] = []
        var desired: [UInt8] = []
        var isThere = false
        for file in texts {
            desired += SHA256.hash(Array(file.text.utf8))
            let hash = try FileDigests.hash(file.path)
            isThere = isThere || hash != nil
            present += hash ?? []
        }
        let status = statuses[unit(spec)] ?? .unknown
        return TimerObserved(
            digest: isThere ? Digest(of: present) : nil, desiredDigest: Digest(of: desired),
            active: status.isActive, enabled: status.unitFile == "enabled")
    }

    static func apply(_ spec: TimerSpec) throws {
        let name = unit(spec)
        guard spec.state == .present else {
            if try UnitStatus.read([name])[name]?.load == "loaded" {
                try Systemctl.run(["disable", "--now", "--", name])
            }
            for file in files(spec) { try ParentDirectory.find(file.path)?.remove() }
            return try SystemdChanges.take()
        }
        for file in files(spec) { try AtomicFile.write(file.path, Array(file.text.utf8), Permissions(mode: 0o644)) }
        try SystemdChanges.take(enable: [name])
        // A running timer keeps its old schedule until it is restarted.
        let outcome = try Systemctl.attempt(["restart", "--", name])
        guard outcome.status == 0 else { throw Systemctl.failure(name, "restart", outcome) }
    }

    static func files(_ spec: TimerSpec) -> [(path: String, text: String)] {
        let service = """
            [Unit]
            Description=\(spec.name), started by its timer (managed by Bascule)

            [Service]
            Type=oneshot
            User=\(spec.user)
            ExecStart=\(spec.command.map(quote).joined(separator: " "))

            """
        let timer = """
            [Unit]
            Description=Schedule of \(spec.name) (managed by Bascule)

            [Timer]
            OnCalendar=\(spec.calendar)
            Persistent=true

            [Install]
            WantedBy=timers.target

            """
        let base = "\(UnitKeeper.directory)/\(spec.name)"
        return [("\(base).service", service), ("\(base).timer", timer)]
    }

    /// An argument as systemd's own syntax has it: in quotes, with its escapes, specifiers and variables off.
    static func quote(_ argument: String) -> String {
        let escaped = argument.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n").replacing("%", with: "%%").replacing("$", with: "$$")
        return "\"\(escaped)\""
    }
}
