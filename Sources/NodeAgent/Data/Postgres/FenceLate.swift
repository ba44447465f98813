import BasculeModel
import BasculePostgres

/// The rights that were granted between the capture and the fence, mostly on what was created. The controller's record
/// does not have them: they are kept at the source itself, committed with what takes them.
enum FenceLate {
    static let setting = "bascule.fence_late"
    /// What has a name of its own in the catalog, whatever rights are left on it.
    private static let kinds: Set<PostgresFencedObject.Kind> = [.table, .sequence, .schema, .function]
    private static let privileges: Set = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "USAGE", "CREATE", "EXECUTE"]
    /// A right in words: kind and name of the object, its owner, grantee, grantor, privilege, `t` where grantable.
    private static let length = 7

    /// In the fence's transaction. A fence that is taken again adds to what it kept the first time. Throws where the
    /// source cannot keep it: what nobody could give back must not be taken.
    static func keep(_ present: [PostgresFencedObject], _ fence: PostgresFence, _ source: PGConnection) throws {
        let captured = Dictionary(fence.objects.map { ($0.identity, $0.rights) }, uniquingKeysWith: { one, _ in one })
        var words: [String] = []
        for object in present {
            let late = Set(object.rights).subtracting(captured[object.identity] ?? [])
            guard kinds.contains(object.kind) || late.isEmpty else { throw refusal(object, "") }
            for right in late {
                words += [
                    object.kind.rawValue, object.name, object.owner, right.grantee, right.grantor, right.privilege,
                    right.grantable ? "t" : "",
                ]
            }
        }
        guard let first = present.first(where: { words.starts(with: [$0.kind.rawValue, $0.name]) }) else { return }
        do {
            words += try self.words(source)
            let value = PGQuote.literal(PGQuote.array(words))
            try source.query("ALTER DATABASE \(PGQuote.identifier(fence.database)) SET \(setting) = \(value)")
        } catch let error as PGError where !error.isConnection {
            throw refusal(first, error.message)
        }
    }

    private static func refusal(_ object: PostgresFencedObject, _ why: String) -> BasculeError {
        BasculeError(
            .fenceFailed, "Rights were granted since they were noted, and could not be given back",
            at: .thing(object.word), cause: why.isEmpty ? nil : why,
            hint: "Nothing was fenced. Run again: they are noted with the others then.")
    }

    /// What the fence kept. Whoever was given the right to set it could have written it, too: it names objects that the
    /// catalog knows by these names, and rights of the kind that a fence takes, or it is left alone.
    static func read(_ source: PGConnection) throws -> [PostgresFencedObject] {
        let words = try self.words(source)
        guard !words.isEmpty else { return [] }
        var found: [PostgresFencedObject] = []
        for object in try FenceRights(source: source).read() where kinds.contains(object.kind) {
            var rights: Set<PostgresRight> = []
            for start in stride(from: 0, through: words.count - length, by: length)
            where words[start] == object.kind.rawValue && words[start + 1] == object.name
                && words[start + 2] == object.owner && privileges.contains(words[start + 5])
            {
                rights.insert(
                    PostgresRight(
                        grantee: words[start + 3], grantor: words[start + 4], privilege: words[start + 5],
                        grantable: words[start + 6] == "t"))
            }
            guard !rights.isEmpty else { continue }
            var kept = object
            kept.rights = rights.sorted()
            found.append(kept)
        }
        return found
    }

    private static func words(_ source: PGConnection) throws -> [String] {
        guard let text = try FenceCapture.settings(source, role: nil)[setting] else { return [] }
        do {
            return try source.query("SELECT unnest($1::text[])", [text]).rows.map { $0[0] ?? "" }
        } catch {
            // What is no list was not written by a fence, and keeps none from being released.
            guard !error.isConnection else { throw error }
            return []
        }
    }
}
