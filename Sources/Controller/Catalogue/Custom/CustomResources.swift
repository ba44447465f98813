import BasculeFleet
import BasculeModel

/// `resources:`, what the catalogue does not cover.
extension Compilation {
    mutating func placeCustomResources() throws {
        for (index, entry) in fleet.resources.enumerated() {
            let origin = Self.origin(entry.place, index: index)
            for node in entry.on.nodes(in: topology) {
                let consumer = Consumer(node: node, path: "resources.\(index)")
                do {
                    try place(entry.kind, on: node, for: consumer, origin: origin)
                } catch let error as BasculeError {
                    throw error.code == .catalogueConflict ? error : error.placed(at: entry.place)
                }
            }
        }
    }

    /// `fleet.yaml:31`
    private static func origin(_ place: Place, index: Int) -> String {
        guard case .file(let path, let line, _) = place else { return "resources.\(index)" }
        return "\(path.split(separator: "/").last ?? "fleet.yaml"):\(line)"
    }

    private mutating func place(
        _ kind: CustomResource.Kind, on node: NodeName, for consumer: Consumer, origin: String
    ) throws {
        switch kind {
        case .package(let spec):
            for name in spec.names {
                let package = PackageSpec(name, state: spec.state, version: spec.version)
                try add(.package(package), on: node, origin: origin)
            }
        case .file(let spec): try add(.file(try file(spec, for: consumer)), on: node, origin: origin)
        case .directory(let spec):
            let permissions = Permissions(owner: spec.owner, group: spec.group, mode: Int(spec.mode.bits))
            let directory = DirectorySpec(spec.path, permissions: permissions, state: spec.state)
            try add(.directory(directory), on: node, origin: origin)
        case .symlink(let spec):
            try add(
                .symlink(SymlinkSpec(spec.path, target: spec.target, state: spec.state)), on: node, origin: origin)
        case .user(let spec):
            let user = UserSpec(
                spec.name, uid: spec.uid, group: spec.group, groups: spec.groups, home: spec.home, shell: spec.shell,
                system: spec.system, state: spec.state)
            try add(.user(user), on: node, origin: origin)
        case .group(let spec):
            let group = GroupSpec(spec.name, gid: spec.gid, system: spec.system, state: spec.state)
            try add(.group(group), on: node, origin: origin)
        case .unit(let spec): try add(.unit(Self.unit(spec)), on: node, origin: origin)
        case .timer(let spec): try add(.timer(try timer(spec)), on: node, origin: origin)
        case .sysctl(let spec): try add(.sysctl(SysctlSpec(spec.key, spec.value)), on: node, origin: origin)
        case .aptRepository(let spec): try add(.aptRepository(try repository(spec)), on: node, origin: origin)
        case .firewall(let spec):
            let transport: FirewallSpec.Rule.Transport = spec.transport == .tcp ? .tcp : .udp
            for port in spec.allow {
                let rule = FirewallSpec.Rule(transport, port, from: spec.from, purpose: spec.name)
                openings[node, default: []].append(Opening(rule: rule, origin: origin))
            }
        case .probe(let spec): try place(spec, on: node, origin: origin)
        case .postgresRole, .postgresDatabase, .postgresExtension, .postgresSetting:
            try placePostgres(kind, on: node, for: consumer, origin: origin)
        }
    }

    private mutating func place(_ spec: ProbeResource, on node: NodeName, origin: String) throws {
        let check: ProbeSpec.Check
        switch spec.question {
        case .url(let url, let host, let status)?: check = .http(url: url, host: host, status: status)
        case .command(let command, let user)?: check = .command(command.words, user: user)
        case .connect(let endpoint, let send, let expect)?:
            let colon = endpoint.lastIndex(of: ":") ?? endpoint.endIndex
            let turn = ProbeSpec.Exchange(send: send.map { Content($0) }, expect: expect)
            check = .dialogue(
                host: String(endpoint[..<colon]), port: Int(endpoint[colon...].dropFirst()) ?? 0,
                exchanges: send == nil && expect.isEmpty ? [] : [turn])
        case nil: return
        }
        try probe(
            spec.name, on: node, check, unit: spec.unit, timeout: Self.wholeSeconds(spec.timeout), origin: origin)
    }

    private mutating func placePostgres(
        _ kind: CustomResource.Kind, on node: NodeName, for consumer: Consumer, origin: String
    ) throws {
        let server = PostgresServer(port: fleet.services.postgresql?.port ?? 5432)
        switch kind {
        case .postgresRole(let spec):
            try refuse(spec.state, "a role")
            let password = try spec.password.map { try secret($0) }
            let role = PostgresRoleSpec(
                spec.name, login: spec.login, password: password, memberOf: spec.memberOf,
                createDatabase: spec.createDatabase, connectionLimit: spec.connectionLimit, server: server)
            let before = spec.memberOf.map { ResourceID(node: node, kind: "postgresRole", name: $0) }
            try add(.postgresRole(role), on: node, requires: before, origin: origin)
        case .postgresDatabase(let spec):
            try refuse(spec.state, "a database")
            let database = PostgresDatabaseSpec(
                spec.name, owner: spec.owner, encoding: spec.encoding, locale: spec.locale, server: server)
            try add(.postgresDatabase(database), on: node, origin: origin)
        case .postgresExtension(let spec):
            try refuse(spec.state, "an extension")
            try add(
                .postgresExtension(PostgresExtensionSpec(spec.name, database: spec.database, server: server)), on: node,
                origin: origin)
        case .postgresSetting(let spec):
            try add(
                .postgresSetting(PostgresSettingSpec(spec.name, spec.value, server: server)), on: node, origin: origin)
        default: break
        }
    }

    /// What holds data is never deleted by a declaration.
    private func refuse(_ state: Presence, _ what: String) throws {
        guard state == .absent else { return }
        throw BasculeError(
            .catalogueLater, "deleting \(what) of PostgreSQL is not done by this version",
            hint: "drop it by hand, then remove this entry")
    }

    private mutating func secret(_ reference: Reference) throws -> SecretName {
        switch reference {
        case .secret(let name):
            try note(name, .given)
            return name
        case .generate(let name):
            try note(name, .generated(length: Self.generatedLength))
            return name
        case .binding:
            throw BasculeError(
                .invalidInput, "a role's password cannot be a binding", hint: "write !secret or !generate")
        }
    }
}
