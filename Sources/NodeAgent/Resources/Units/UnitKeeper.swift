import BasculeModel
import Glibc

/// systemd units: their files, whether they start at boot, whether they run, and with which configuration.
package enum UnitKeeper {
    static let directory = "/etc/systemd/system"

    /// A template (`name@.service`) has files but no state of its own.
    package static func isTemplate(_ name: String) -> Bool { name.contains("@.") }

    static func observe(_ spec: UnitSpec, _ statuses: [String: UnitStatus], _ context: NodeContext) throws
        -> UnitObserved
    {
        let own = try ownFile(spec.name, context, secret: spec.content?.secrets.isEmpty == false)
        var dropIns: [String: Digest] = [:]
        var desiredDropIns: [String: Digest] = [:]
        for (name, content) in spec.dropIns {
            desiredDropIns[name] = try context.digest(of: content)
            dropIns[name] = try FileDigests.hash(dropIn(spec, name)).map {
                context.digest($0, secret: !content.secrets.isEmpty)
            }
        }
        let status = isTemplate(spec.name) ? template(own != nil) : statuses[spec.name] ?? .unknown
        // Where no state is declared it is none of the observation: what a timer starts every minute would be another
        // unit at every look, and a plan for it refused.
        let isStateful = spec.state != nil
        var observed = UnitObserved(
            load: status.load, active: isStateful ? status.active : "in any state", unitFile: status.unitFile,
            contentDigest: spec.content == nil ? nil : own,
            desiredContentDigest: try spec.content.map { try context.digest(of: $0) }, dropInDigests: dropIns,
            desiredDropInDigests: desiredDropIns, needsDaemonReload: status.needsDaemonReload,
            conditionFailed: isStateful && status.conditionFailed && !status.isActive ? true : nil)
        if isStateful && status.isActive {
            let record = UnitRecord.load(spec.name, context).flatMap { $0.invocation == status.invocation ? $0 : nil }
            observed.restartPending = try UnitRecord.isPending(
                restartFiles(spec), known: record?.restart, since: status.startBegan, context)
            observed.reloadPending =
                try UnitRecord.isPending(
                    spec.reloadOn, known: record?.reload, since: status.startBegan, context)
                || record?.mayHaveReadOthers(spec.reloadOn, status) == true
        }
        return observed
    }

    /// Writes the files of units and changes their links, all before one daemon-reload; starts nothing. A link that
    /// cannot be changed is left to `apply`.
    package static func writeAhead(
        _ specs: [UnitSpec], _ statuses: [String: UnitStatus], _ context: NodeContext
    ) throws {
        for spec in specs { _ = try writeFiles(spec, context) }
        let plain = specs.filter { statuses[$0.name].map { !isMasked($0) } == true }
        let enable = plain.filter { wantsLinks($0, statuses[$0.name]) == true }.map(\.name)
        let disable = plain.filter { wantsLinks($0, statuses[$0.name]) == false }.map(\.name)
        do { try SystemdChanges.take(enable: enable, disable: disable) } catch let error as BasculeError {
            context.progress(error.message)
        }
    }

    /// Brings units to their state: all files first, one daemon-reload, then one unit after the other.
    static func apply(_ specs: [UnitSpec], _ context: NodeContext) throws {
        try SystemdChanges.prepare {
            var needsReload = false
            for spec in specs { needsReload = try writeFiles(spec, context) || needsReload }
            let statuses = try UnitStatus.readAtOnce(specs.map(\.name).filter { !isTemplate($0) })
            needsReload = needsReload || statuses.values.contains { $0.needsDaemonReload }
            let plain = specs.filter { statuses[$0.name].map { !isMasked($0) } == true && !$0.masked }
            let enable = plain.filter { wantsLinks($0, statuses[$0.name]) == true }.map(\.name)
            let disable = plain.filter { wantsLinks($0, statuses[$0.name]) == false }.map(\.name)
            return needsReload || !enable.isEmpty || !disable.isEmpty ? (enable, disable) : nil
        }
        try UnitRunner.startTogether(specs.filter { !isTemplate($0.name) }, context)
        for spec in specs where !isTemplate(spec.name) {
            if context.isCancelled() { throw BasculeError(.cancelled, "Cancelled before \(spec.name)") }
            try bring(spec, context)
        }
    }

    /// The files whose change asks for a restart: the declared ones, and the unit's own.
    static func restartFiles(_ spec: UnitSpec) -> [String] {
        var files = spec.restartOn
        if spec.content != nil { files.append("\(directory)/\(spec.name)") }
        return files + spec.dropIns.keys.sorted().map { dropIn(spec, $0) }
    }

    static func dropIn(_ spec: UnitSpec, _ name: String) -> String { "\(directory)/\(spec.name).d/\(name)" }

    private static func ownFile(_ name: String, _ context: NodeContext, secret: Bool) throws -> Digest? {
        try FileDigests.hash("\(directory)/\(name)").map { context.digest($0, secret: secret) }
    }

    private static func template(_ exists: Bool) -> UnitStatus {
        var status = UnitStatus.unknown
        if exists { (status.load, status.unitFile) = ("loaded", "static") }
        return status
    }

    /// Whether anything was written.
    static func writeFiles(_ spec: UnitSpec, _ context: NodeContext) throws -> Bool {
        guard spec.name.contains("."), !spec.name.contains("/"), !spec.name.hasPrefix("-") else {
            throw BasculeError(.invalidInput, "This is no unit name with its suffix", at: .thing(spec.name))
        }
        var files: [(path: String, content: Content)] = []
        if let content = spec.content { files.append(("\(directory)/\(spec.name)", content)) }
        for (name, content) in spec.dropIns {
            guard name.hasSuffix(".conf"), !name.contains("/") else {
                throw BasculeError(.invalidInput, "A drop-in's name must end in .conf", at: .thing(name))
            }
            files.append((dropIn(spec, name), content))
        }
        var wrote = false
        for file in files {
            let secret = !file.content.secrets.isEmpty
            let current = try FileDigests.hash(file.path).map { context.digest($0, secret: secret) }
            guard try current != context.digest(of: file.content) else { continue }
            let mode = Permissions(mode: secret ? 0o600 : 0o644)
            try AtomicFile.write(file.path, try context.bytes(of: file.content), mode)
            wrote = true
        }
        return wrote
    }

    private static func bring(_ spec: UnitSpec, _ context: NodeContext) throws {
        try settle(spec, try UnitStatus.read([spec.name])[spec.name] ?? .unknown)
        guard !spec.masked else { return }
        switch spec.state {
        case .running?: try UnitRunner.run(spec, context)
        case .stopped?: try Systemctl.run(["stop", "--", spec.name])
        case nil: break
        }
    }

    /// Whether it is masked, and whether it starts at boot.
    static func settle(_ spec: UnitSpec, _ status: UnitStatus) throws {
        let isMasked = isMasked(status)
        if spec.masked {
            if !isMasked { try Systemctl.run(["mask", "--now", "--", spec.name]) }
            return
        }
        if isMasked { try Systemctl.run(["unmask", "--", spec.name]) }
        switch wantsLinks(spec, status) {
        case true?: try SystemdChanges.take(enable: [spec.name])
        case false?: try SystemdChanges.take(disable: [spec.name])
        case nil: break
        }
    }

    private static func isMasked(_ status: UnitStatus) -> Bool {
        status.load == "masked" || status.unitFile.hasPrefix("masked")
    }

    /// Whether the unit is to be enabled or disabled; nil where it is as it shall be.
    private static func wantsLinks(_ spec: UnitSpec, _ status: UnitStatus?) -> Bool? {
        guard let enabled = spec.enabled, let status else { return nil }
        let fixed = ["static", "generated", "transient"].contains(status.unitFile)
        let isEnabled = ["enabled", "alias", "indirect"].contains(status.unitFile)
        return fixed || enabled == isEnabled ? nil : enabled
    }
}
