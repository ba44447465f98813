import BasculeModel

extension FleetChecks {
    func migration(_ migration: Migration, _ fleet: Fleet) {
        if case .node(let edge)? = migration.edge, !edge.node.rawValue.isEmpty, !declared("nodes.\(edge.node)") {
            // The old world's machine may be described before Bascule may log in to it.
            let meant = NearMiss.suggestion(for: edge.node.rawValue, among: fleet.nodes.keys.map(\.rawValue))
            reader.warning(
                "the edge's node \(quoted(edge.node.rawValue)) is not declared under 'nodes'",
                at: value("migration.edge.node"),
                hint: meant.map { "did you mean '\($0)'?" } ?? "declare it before the freeze is planned")
        }
        if case .node(let edge)? = migration.edge, (edge.certificate == nil) != (edge.certificateKey == nil),
            !reader.doubted.contains("migration.edge")
        {
            reader.error(
                .fleetMissingKey, "the edge has only one of 'certificate' and 'certificateKey'",
                at: key("migration.edge"), hint: "give both, or neither for plain HTTP")
        }
        for (name, source) in migration.sources {
            let into = value("migration.sources.\(name).into")
            let here = declared("migration.sources.\(name).into") ? into : key("migration.sources.\(name)")
            switch source {
            case .postgres(let source): database(source.into, at: here, fleet)
            case .mysql(let source): database(source.into, at: here, fleet)
            case .redis(let source): redis(source.into, at: here)
            case .files(let source):
                for (index, item) in source.references.enumerated() where !item.database.rawValue.isEmpty {
                    database(item.database, at: value("migration.sources.\(name).references.\(index).database"), fleet)
                }
            }
        }
        clients(fleet)
        if let dns = migration.dns { self.dns(dns, fleet) }
        if let customers = migration.customers {
            if let name = customers.database { database(name, at: value("migration.customers.database"), fleet) }
            if let message = customers.message {
                file(message, what: "the message", at: value("migration.customers.message"), fleet)
            }
        }
        if let window = migration.window, migration.rollback.budget > window.length {
            let path = declared("migration.rollback.budget") ? "migration.rollback.budget" : "migration.window.length"
            reader.error(
                .fleetBadValue, "the rollback's budget is longer than the window", at: value(path),
                hint: "a migration that cannot go back within its window does not start")
        }
    }

    private func dns(_ dns: DNSSwitch, _ fleet: Fleet) {
        for (name, records) in dns.records {
            let path = "migration.dns.records.\(name)"
            if !dns.zone.isEmpty, name != dns.zone, !name.hasSuffix("." + dns.zone) {
                reader.error(
                    .fleetDangling, "the name \(quoted(name)) is not in the zone '\(dns.zone)'", at: key(path),
                    hint: "write names in full, for example www.\(dns.zone)")
            }
            for (type, target) in [("A", records.a), ("AAAA", records.aaaa)] {
                switch target {
                case .node(let node): self.node(node, at: value("\(path).\(type)"), fleet)
                case .address(let text):
                    if text.contains(":") != (type == "AAAA") {
                        reader.error(
                            .fleetBadValue, "\(quoted(text)) is no address for a record of type \(type)",
                            at: value("\(path).\(type)"), hint: "A takes IPv4, AAAA takes IPv6")
                    }
                case nil: break
                }
            }
        }
    }

    /// One name cannot be both set by the administrator and made by Bascule.
    func secrets(_ fleet: Fleet) {
        var uses: [(name: SecretName, made: Bool, path: String)] = []
        func note(_ reference: Reference, _ path: String) {
            switch reference {
            case .secret(let name): uses.append((name, false, path))
            case .generate(let name): uses.append((name, true, path))
            case .binding: break
            }
        }
        // One that could not be read was told of already.
        func note(_ name: SecretName?, _ path: String) {
            if let name, !name.rawValue.isEmpty { note(.secret(name), path) }
        }
        for (name, app) in fleet.apps {
            for (part, environment) in [("env", app.env), ("buildEnv", app.buildEnv)] {
                for (variable, entry) in environment {
                    if case .reference(let reference) = entry { note(reference, "apps.\(name).\(part).\(variable)") }
                }
            }
        }
        for (name, source) in fleet.migration?.sources ?? [:] {
            let path = "migration.sources.\(name)"
            switch source {
            case .postgres(let source): note(.secret(source.url), "\(path).postgres")
            case .redis(let source): note(.secret(source.url), "\(path).redis")
            case .mysql(let source):
                note(.secret(source.url), "\(path).mysql")
                note(source.fence, "\(path).fence")
            case .files(let source): if let key = source.key { note(.secret(key), "\(path).key") }
            }
        }
        if let certificates = fleet.services.certificates {
            let path = "services.certificates"
            note(certificates.dns?.server.tsig, "\(path).dns.tsig")
            note(certificates.account?.key, "\(path).account.key")
        }
        if let mail = fleet.services.mail {
            note(mail.key, "services.mail.key")
            note(mail.relay?.password, "services.mail.relay.password")
            note(mail.dns?.server.tsig, "services.mail.dns.tsig")
        }
        note(fleet.migration?.dns?.server.tsig, "migration.dns.tsig")
        for use in uses where use.made {
            guard uses.contains(where: { !$0.made && $0.name == use.name }) else { continue }
            reader.error(
                .fleetDuplicateClaim, "the secret '\(use.name)' is both set by hand (!secret) and made (!generate)",
                at: value(use.path), hint: "give one of them another name")
        }
    }
}
