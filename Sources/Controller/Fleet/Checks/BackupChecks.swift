import BasculeModel

/// What no single key of `services.backup` can tell.
extension FleetChecks {
    func backup(_ backup: Backup, _ fleet: Fleet) {
        let path = "services.backup"
        if backup.targets.isEmpty, !reader.doubted.contains(path) {
            reader.error(
                .fleetMissingKey, "backups have nowhere to go", at: key("\(path).targets"),
                hint: "targets: {local: {path: /srv/backup}}, and a second one that survives the node")
        }
        targets(backup.postgresql.targets, "\(path).postgresql", backup)
        if let borg = backup.borg { files(borg, backup, fleet) }
        for (name, target) in backup.targets.sorted(by: { $0.key < $1.key }) {
            let place = "\(path).targets.\(name)"
            switch target {
            case .folder: break
            case .node(let other): node(other.node, at: value("\(place).node"), fleet)
            case .s3(let bucket): self.bucket(bucket.s3, "\(place).s3", fleet)
            }
        }
        if !(.seconds(10) ... .seconds(300)).contains(backup.postgresql.archiveTimeout) {
            reader.error(
                .fleetBadValue, "a begun segment is archived after 10s to 5m",
                at: value("\(path).postgresql.archiveTimeout"), hint: "60s loses at most the last minutes")
        }
        if backup.postgresql.full < .seconds(86_400) || backup.postgresql.keep < backup.postgresql.full {
            reader.error(
                .fleetBadValue, "full is at least 1d, and keep at least as long as full",
                at: value("\(path).postgresql.\(backup.postgresql.full < .seconds(86_400) ? "full" : "keep")"),
                hint: "full: 7d, keep: 30d")
        }
    }

    /// Names of targets under a kind of backup.
    func targets(_ names: [String], _ path: String, _ backup: Backup) {
        for (index, name) in names.enumerated() where backup.targets[name] == nil {
            guard !declared("services.backup.targets.\(name)") else { continue }
            dangling("target", name, at: value("\(path).targets.\(index)"), among: Array(backup.targets.keys))
        }
    }

    private func files(_ borg: FileBackups, _ backup: Backup, _ fleet: Fleet) {
        let path = "services.backup.borg"
        targets(borg.targets, path, backup)
        for (index, name) in borg.dumps.enumerated() { database(name, at: value("\(path).dumps.\(index)"), fleet) }
        // What survives the node, and how long it takes until it can be read.
        let away = backup.targets(of: borg.targets).filter { if case .folder = $0.target { false } else { true } }
        let frozen = away.compactMap { name, target -> (name: String, wait: String)? in
            guard case .s3(let bucket) = target else { return nil }
            return Self.retrieval[bucket.s3.storageClass].map { (name, $0) }
        }
        guard let first = frozen.first, frozen.count == away.count else { return }
        reader.error(
            .fleetBadValue,
            "the only copy that survives the node is frozen: it can be read \(first.wait) after it was asked for",
            at: value("services.backup.targets.\(first.name).s3.storageClass"),
            hint: "no restore ends within an hour then: GLACIER_IR is read at once, or add another target")
    }

    /// Storage classes that must be thawed, as Amazon tells their times (standard retrieval).
    private static let retrieval = ["GLACIER": "3 to 5 hours", "DEEP_ARCHIVE": "12 hours"]

    private func bucket(_ bucket: BackupBucket.S3, _ path: String, _ fleet: Fleet) {
        if let bundle = bucket.caBundle {
            file(bundle, what: "the bundle of roots", at: value("\(path).caBundle"), fleet)
        }
        if let prune = bucket.prune, prune.accessKey == bucket.accessKey, !prune.accessKey.rawValue.isEmpty {
            reader.error(
                .fleetDuplicateClaim, "the key that may delete is the node's own", at: value("\(path).prune.accessKey"),
                hint: "make two keys: whoever takes the node over must not be able to delete its backups")
        }
    }
}
