import BasculeModel
import Glibc

/// Puts a unit's files and state back.
enum UnitRestore {
    static func run(_ name: String, _ snapshot: UnitSnapshot, _ store: ObjectStore) throws {
        let isTemplate = UnitKeeper.isTemplate(name)
        let wasThere = ["enabled", "disabled", "static", "alias", "indirect", "generated", "masked"].contains(
            snapshot.unitFile)
        let wasActive = ["active", "activating", "reloading"].contains(snapshot.active)
        let current = isTemplate ? nil : try UnitStatus.read([name])[name]
        // A unit that was not there has to let go of its links before its file goes.
        if !isTemplate, !wasThere || snapshot.unitFile == "disabled", current?.unitFile == "enabled" {
            _ = try Systemctl.attempt(["disable", "--", name])
        }
        if !isTemplate, !wasActive, current?.isActive == true { _ = try Systemctl.attempt(["stop", "--", name]) }
        var changed = false
        for (path, file) in snapshot.files.sorted(by: { $0.key < $1.key }) {
            changed = try store.snapshot(path, keep: false) != file || changed
            try store.restore(path, file)
        }
        // Only an empty directory goes: somebody else's drop-ins may stand in it.
        if let dropIns = try ParentDirectory.find("\(UnitKeeper.directory)/\(name).d") {
            unlinkat(dropIns.descriptor, dropIns.name, AT_REMOVEDIR)
        }
        if changed { try SystemdChanges.take() }
        guard !isTemplate, wasThere else { return }
        if snapshot.unitFile == "masked" { return try Systemctl.run(["mask", "--", name]) }
        if current?.unitFile.hasPrefix("masked") == true { try Systemctl.run(["unmask", "--", name]) }
        if snapshot.unitFile == "enabled", current?.unitFile != "enabled" { try Systemctl.run(["enable", "--", name]) }
        guard wasActive else { return }
        let verb = changed ? "restart" : "start"
        let outcome = try Systemctl.attempt([verb, "--", name])
        guard outcome.status == 0 else { throw Systemctl.failure(name, verb, outcome) }
    }
}
