import BasculeModel
import BasculePostgres

/// Gives back exactly what was captured, and looks whether it is so. May run again at any time.
struct FenceRelease {
    let sides: Sides
    let fence: PostgresFence

    func run() throws -> PostgresFenceReport {
        let start = MoveClock.now()
        let source = try sides.source()
        do {
            if let other = try FenceCapture.settings(source, role: nil)[FenceCapture.marker], other != fence.id {
                throw BasculeError(
                    .fenceFailed, "The source is fenced by somebody else", at: .thing(source.place),
                    cause: "fence \(other)", hint: "Release that fence with its own captured rights.")
            }
            var objects = fence.objects
            for late in try FenceLate.read(source) {
                if let index = objects.firstIndex(where: { $0.identity == late.identity }) {
                    objects[index].rights = Set(objects[index].rights + late.rights).sorted()
                } else {
                    objects.append(late)
                }
            }
            let kept = try source.transaction { try restore(source, objects) }
            let findings = try kept + compare(source, objects)
            return PostgresFenceReport(
                drained: 0, terminated: 0, findings: findings, seconds: MoveClock.now() - start)
        } catch let error as PGError {
            throw error.basculeError("releasing the fence of the source", at: .thing(source.place))
        }
    }

    /// What cannot be given back is named, and keeps nothing else from coming back.
    private func restore(_ source: PGConnection, _ objects: [PostgresFencedObject]) throws -> [PostgresFinding] {
        var findings: [PostgresFinding] = []
        let database = PGQuote.identifier(fence.database)
        let now = Dictionary(
            try FenceRights(source: source).read().map { ($0.identity, $0) }, uniquingKeysWith: { one, _ in one })
        for object in objects {
            // Rights on columns and defaults vanish from the catalog with their last holder; a table does not.
            let vanishes = object.kind == .column || object.kind == .defaults
            guard let present = now[object.identity] ?? (vanishes ? object.emptied : nil) else { continue }
            let missing = Set(object.rights).subtracting(present.rights)
            for right in object.inOrderOfGranting where missing.contains(right) {
                // The comparison afterwards names the object.
                _ = try source.attempt { try grant(object, right, source) }
            }
        }
        // One that the fence had no right to take is there still, and asking for it again would be refused, too.
        let held = Set(try FenceCapture.memberships(source))
        for membership in fence.memberships where !held.contains(membership) {
            let admin = membership.admin ? " WITH ADMIN OPTION" : ""
            let sql = "GRANT \(membership.role) TO \(PGQuote.identifier(membership.member))\(admin)\(membership.by)"
            guard let said = try source.attempt({ try source.query(sql) }) else { continue }
            findings.append(
                PostgresFinding(
                    "right-not-restored", .warn, "membership of \(membership.member) in \(membership.role)", said,
                    hint: "Run by hand: \(sql)"))
        }
        for role in fence.roles where role.isSuperuser {
            guard try !source.query("SELECT FROM pg_roles WHERE rolname = $1", [role.name]).isEmpty else { continue }
            let alter = "ALTER ROLE \(PGQuote.identifier(role.name)) IN DATABASE \(database)"
            let current = try FenceCapture.settings(source, role: role.name)["default_transaction_read_only"]
            if current != role.readOnlyDefault { try source.query(Self.set(alter, role.readOnlyDefault)) }
        }
        let settings = try FenceCapture.settings(source, role: nil)
        if settings["default_transaction_read_only"] != fence.readOnlyDefault {
            try source.query(Self.set("ALTER DATABASE \(database)", fence.readOnlyDefault))
        }
        for name in [FenceCapture.marker, FenceLate.setting] where settings[name] != nil {
            try source.query("ALTER DATABASE \(database) RESET \(name)")
        }
        return findings
    }

    private static func set(_ alter: String, _ value: String?) -> String {
        value.map { "\(alter) SET default_transaction_read_only = \(PGQuote.literal($0))" }
            ?? "\(alter) RESET default_transaction_read_only"
    }

    /// As the grantor, where that is not the owner: the catalog remembers who gave.
    private func grant(_ object: PostgresFencedObject, _ right: PostgresRight, _ source: PGConnection) throws {
        let asGrantor = right.grantor != object.owner && object.kind != .defaults
        if asGrantor { try source.query("SET LOCAL ROLE \(PGQuote.identifier(right.grantor))") }
        try source.query(object.grant(right))
        if asGrantor { try source.query("RESET ROLE") }
    }

    private func compare(_ source: PGConnection, _ objects: [PostgresFencedObject]) throws -> [PostgresFinding] {
        let now = Dictionary(
            try FenceRights(source: source).read().map { ($0.identity, $0) }, uniquingKeysWith: { one, _ in one })
        return objects.compactMap { object in
            let present = now[object.identity]
            if present == nil, object.rights.isEmpty { return nil }
            guard present?.rights != object.rights else { return nil }
            return PostgresFinding(
                "right-not-restored", .warn, object.word,
                present == nil ? "The object is gone" : "Its rights are not what they were before the fence",
                hint: "Compare with the captured rights and grant by hand.")
        }
    }
}

extension PostgresFencedMembership {
    var by: String { grantor.isEmpty ? "" : " GRANTED BY \(PGQuote.identifier(grantor))" }
}

extension PostgresFencedObject {
    var emptied: PostgresFencedObject {
        var copy = self
        copy.rights = []
        return copy
    }

    /// A grantor has its own right, with the option to pass it on, before it can give one.
    var inOrderOfGranting: [PostgresRight] {
        var left = rights
        var ordered: [PostgresRight] = []
        var able: Set<String> = []
        func key(_ role: String, _ privilege: String) -> String { "\(role)\u{0}\(privilege)" }
        while !left.isEmpty {
            let next = left.filter { $0.grantor == owner || able.contains(key($0.grantor, $0.privilege)) }
            let now = next.isEmpty ? left : next
            for right in now where right.grantable { able.insert(key(right.grantee, right.privilege)) }
            ordered += now
            left.removeAll { now.contains($0) }
        }
        return ordered
    }
}
