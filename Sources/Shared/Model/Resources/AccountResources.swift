/// A group of the operating system.
package struct GroupSpec: Hashable, Codable, Sendable {
    package var name: String
    package var gid: Int?
    package var system: Bool
    package var state: Presence

    package init(_ name: String, gid: Int? = nil, system: Bool = false, state: Presence = .present) {
        (self.name, self.gid, self.system, self.state) = (name, gid, system, state)
    }
}

/// A group as it is; `gid` nil where there is none.
package struct GroupObserved: Hashable, Codable, Sendable {
    package var gid: Int?
    package init(gid: Int?) { self.gid = gid }
}

extension GroupSpec {
    package func verdict(_ observed: GroupObserved) -> Verdict {
        switch (state, observed.gid) {
        case (.absent, nil): return .satisfied(reason: "absent")
        case (.absent, let current?):
            return .change(Change(.delete, [Difference("gid", before: "\(current)", after: nil)]))
        case (.present, nil):
            return .change(Change(.create, [Difference("gid", before: nil, after: gid.map { "\($0)" } ?? "next free")]))
        case (.present, let current?):
            var list = DifferenceList()
            list.compareWanted("gid", current, wanted: gid)
            return list.verdict(.update, satisfied: "gid \(current)")
        }
    }
}

/// A user of the operating system.
package struct UserSpec: Hashable, Codable, Sendable {
    package var name: String
    package var uid: Int?
    /// Primary group; nil makes one of the user's own name.
    package var group: String?
    /// Supplementary groups that the user must be in (others are left alone).
    package var groups: [String]
    package var home: String?
    package var createHome: Bool
    package var shell: String?
    package var system: Bool
    package var state: Presence

    package init(
        _ name: String, uid: Int? = nil, group: String? = nil, groups: [String] = [], home: String? = nil,
        createHome: Bool = false, shell: String? = nil, system: Bool = false, state: Presence = .present
    ) {
        (self.name, self.uid, self.group, self.groups) = (name, uid, group, groups)
        (self.home, self.createHome, self.shell, self.system, self.state) = (home, createHome, shell, system, state)
    }
}

/// A user as the account database knows it.
package struct UserObserved: Hashable, Codable, Sendable {
    /// nil where there is no such user.
    package var uid: Int?
    package var group: String?
    package var groups: [String]
    package var home: String?
    package var shell: String?

    package init(uid: Int?, group: String? = nil, groups: [String] = [], home: String? = nil, shell: String? = nil) {
        (self.uid, self.group, self.groups, self.home, self.shell) = (uid, group, groups, home, shell)
    }
}

extension UserSpec {
    package func verdict(_ observed: UserObserved) -> Verdict {
        guard let current = observed.uid else {
            if state == .absent { return .satisfied(reason: "absent") }
            var differences = [
                Difference(
                    "uid", before: nil, after: uid.map { "\($0)" } ?? (system ? "next free system id" : "next free"))
            ]
            if let shell { differences.append(Difference("shell", before: nil, after: shell)) }
            if let home { differences.append(Difference("home", before: nil, after: home)) }
            if !groups.isEmpty {
                differences.append(Difference("groups", before: nil, after: groups.sorted().joined(separator: ", ")))
            }
            return .change(Change(.create, differences))
        }
        if state == .absent { return .change(Change(.delete, [Difference("uid", before: "\(current)", after: nil)])) }
        var list = DifferenceList()
        list.compareWanted("uid", current, wanted: uid)
        list.compareWanted("group", observed.group, wanted: group)
        list.compareWanted("home", observed.home, wanted: home)
        list.compareWanted("shell", observed.shell, wanted: shell)
        let missing = Set(groups).subtracting(observed.groups).sorted()
        if !missing.isEmpty {
            list.add(Difference("groups", before: nil, after: "+" + missing.joined(separator: " +")))
        }
        return list.verdict(.update, satisfied: "uid \(current)")
    }
}
