import BasculeModel
import Glibc
import Synchronization

/// The users and groups of `/etc/passwd` and `/etc/group`, read at once.
package struct AccountDatabase: Sendable {
    /// One line of `/etc/passwd`.
    package struct User: Sendable, Hashable {
        package var name: String
        package var uid: uid_t
        package var gid: gid_t
        package var home: String
        package var shell: String
    }

    package private(set) var users: [String: User] = [:]
    /// Group id by name.
    package private(set) var groups: [String: gid_t] = [:]
    private var userNames: [uid_t: String] = [:]
    private var groupNames: [gid_t: String] = [:]
    private var memberships: [String: [String]] = [:]

    /// Parses both files. Lines that are not complete are skipped, as the C library does.
    package init(passwd: String, group: String) {
        for line in passwd.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count >= 7, let uid = uid_t(fields[2]), let gid = gid_t(fields[3]) else { continue }
            users[fields[0]] = User(name: fields[0], uid: uid, gid: gid, home: fields[5], shell: fields[6])
            if userNames[uid] == nil { userNames[uid] = fields[0] }
        }
        for line in group.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count >= 4, let gid = gid_t(fields[2]) else { continue }
            groups[fields[0]] = gid
            if groupNames[gid] == nil { groupNames[gid] = fields[0] }
            for member in fields[3].split(separator: ",") { memberships[String(member), default: []].append(fields[0]) }
        }
    }

    private struct Cached: Sendable {
        var passwd: FileIdentity?
        var group: FileIdentity?
        var value: AccountDatabase
    }
    private static let cache = Mutex<Cached?>(nil)

    /// The node's accounts, parsed again only when a file changed.
    package static func current() throws -> AccountDatabase {
        let (passwd, group) = (FileIdentity(path: "/etc/passwd"), FileIdentity(path: "/etc/group"))
        if let hit = cache.withLock({ $0 }), hit.passwd == passwd, hit.group == group { return hit.value }
        let value = AccountDatabase(
            passwd: String(decoding: try AtomicFile.read("/etc/passwd") ?? [], as: UTF8.self),
            group: String(decoding: try AtomicFile.read("/etc/group") ?? [], as: UTF8.self))
        if passwd?.isFresh == false, group?.isFresh == false {
            cache.withLock { $0 = Cached(passwd: passwd, group: group, value: value) }
        }
        return value
    }

    /// The user's name, or its number where it has none.
    package func userName(_ uid: uid_t) -> String { userNames[uid] ?? "\(uid)" }
    /// The group's name, or its number where it has none.
    package func groupName(_ gid: gid_t) -> String { groupNames[gid] ?? "\(gid)" }
    /// The supplementary groups that list the user, sorted.
    package func supplementary(of user: String) -> [String] { (memberships[user] ?? []).sorted() }

    func requireUser(_ name: String) throws -> User {
        if let user = users[name] { return user }
        throw BasculeError(
            .unknownAccount, "The user \(name) does not exist on this node", at: .thing(name),
            hint: "declare it as a `user` resource, or correct the name")
    }

    /// A user's number by name or by digits.
    func uid(_ name: String) throws -> uid_t { try users[name]?.uid ?? uid_t(name) ?? requireUser(name).uid }

    /// A group's number by name or by digits.
    func gid(_ name: String) throws -> gid_t {
        if let gid = groups[name] ?? gid_t(name) { return gid }
        throw BasculeError(
            .unknownAccount, "The group \(name) does not exist on this node", at: .thing(name),
            hint: "declare it as a `group` resource, or correct the name")
    }
}
