import BasculeModel

/// Users and groups, through the distribution's own tools.
enum AccountKeeper {
    static func observe(_ spec: GroupSpec) throws -> GroupObserved {
        GroupObserved(gid: try AccountDatabase.current().groups[spec.name].map { Int($0) })
    }

    static func observe(_ spec: UserSpec) throws -> UserObserved {
        let accounts = try AccountDatabase.current()
        guard let user = accounts.users[spec.name] else { return UserObserved(uid: nil) }
        return UserObserved(
            uid: Int(user.uid), group: accounts.groupName(user.gid), groups: accounts.supplementary(of: spec.name),
            home: user.home, shell: user.shell)
    }

    static func apply(_ spec: GroupSpec) throws {
        try check(spec.name)
        let seen = try observe(spec)
        let number = spec.gid.map { ["--gid", "\($0)"] } ?? []
        switch (spec.state, seen.gid) {
        case (.absent, nil): return
        case (.absent, _): try run(["groupdel", "--", spec.name], "Deleting the group \(spec.name)")
        case (.present, nil):
            let system = spec.system ? ["--system"] : []
            try run(["groupadd"] + system + number + ["--", spec.name], "Adding the group \(spec.name)")
        case (.present, _):
            guard !number.isEmpty else { return }
            try run(["groupmod"] + number + ["--", spec.name], "Changing the group \(spec.name)")
        }
    }

    static func apply(_ spec: UserSpec) throws {
        try check(spec.name)
        let seen = try observe(spec)
        switch (spec.state, seen.uid) {
        case (.absent, nil): return
        // Without --remove: nobody's files are deleted.
        case (.absent, _): try run(["userdel", "--", spec.name], "Deleting the user \(spec.name)")
        case (.present, nil): try create(spec)
        case (.present, _): try update(spec, seen)
        }
    }

    private static func create(_ spec: UserSpec) throws {
        var argv = ["useradd"]
        if spec.system { argv.append("--system") }
        if let uid = spec.uid { argv += ["--uid", "\(uid)"] }
        let hasOwnGroup = try AccountDatabase.current().groups[spec.name] != nil
        if let group = spec.group {
            argv += ["--gid", group]
        } else {
            argv += hasOwnGroup ? ["--gid", spec.name] : ["--user-group"]
        }
        if !spec.groups.isEmpty { argv += ["--groups", spec.groups.joined(separator: ",")] }
        if let home = spec.home { argv += ["--home-dir", home] }
        argv.append(spec.createHome ? "--create-home" : "--no-create-home")
        if let shell = spec.shell { argv += ["--shell", shell] }
        try run(argv + ["--", spec.name], "Adding the user \(spec.name)")
    }

    private static func update(_ spec: UserSpec, _ seen: UserObserved) throws {
        var argv = ["usermod"]
        if let uid = spec.uid, uid != seen.uid { argv += ["--uid", "\(uid)"] }
        if let group = spec.group, group != seen.group { argv += ["--gid", group] }
        if let home = spec.home, home != seen.home { argv += ["--home", home] }
        if let shell = spec.shell, shell != seen.shell { argv += ["--shell", shell] }
        let missing = Set(spec.groups).subtracting(seen.groups).sorted()
        if !missing.isEmpty { argv += ["--append", "--groups", missing.joined(separator: ",")] }
        guard argv.count > 1 else { return }
        try run(argv + ["--", spec.name], "Changing the user \(spec.name)")
    }

    private static func run(_ argv: [String], _ what: String) throws { try Subprocess.require(argv, what) }

    /// Refuses what the tools could take for an option or what breaks the account files.
    private static func check(_ name: String) throws {
        let good = name.utf8.allSatisfy {
            ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || [45, 46, 95, 36].contains($0)
                || ($0 >= 65 && $0 <= 90)
        }
        guard good, !name.isEmpty, name.utf8.count <= 32, name.first != "-" else {
            throw BasculeError(.invalidInput, "This is no name for a user or group", at: .thing(name))
        }
    }
}
