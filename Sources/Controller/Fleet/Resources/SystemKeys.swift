import BasculeModel

extension PackageResource: Declared {
    static var about: String { "Debian packages" }
    static var fields: [Field<PackageResource>] {
        [
            .key("package", \.names, .oneOrMore(.name(.package)), required: true, "One name or a list"),
            .key("version", \.version, .name(.version), "An exact version; only with one name"),
            .key("state", \.state, .choice(), "Whether they shall be there"),
        ]
    }
}

extension UserResource: Declared {
    static var about: String { "A user" }
    static var fields: [Field<UserResource>] {
        [
            .key("user", \.name, .name(.account), required: true, "Its name"),
            .key("system", \.system, .flag, "A system user"),
            .key("uid", \.uid, .integer(1...4_294_967_294), "Its number"),
            .key("group", \.group, .name(.account), "Primary group; one of the same name if absent"),
            .key("groups", \.groups, .list(.name(.account)), "Supplementary groups"),
            .key("home", \.home, .absolutePath, "Its home"),
            .key("shell", \.shell, .absolutePath, "Its shell"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension GroupResource: Declared {
    static var about: String { "A group" }
    static var fields: [Field<GroupResource>] {
        [
            .key("group", \.name, .name(.account), required: true, "Its name"),
            .key("system", \.system, .flag, "A system group"),
            .key("gid", \.gid, .integer(1...4_294_967_294), "Its number"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension UnitResource: Declared {
    static var about: String { "A systemd unit" }
    static var fields: [Field<UnitResource>] {
        [
            .key("unit", \.name, .unitName, required: true, "Its name with suffix"),
            .key("state", \.state, .choice(), "Running or stopped; left as it is if absent"),
            .key("enabled", \.enabled, .flag, "Started at boot; left as it is if absent"),
            .key("reloadOn", \.reloadOn, .list(.absolutePath), "Files whose change reloads it"),
            .key("restartOn", \.restartOn, .list(.absolutePath), "Files whose change restarts it"),
            .key("content", \.content, .text(), "The unit file; absent where a package brings it"),
            .key("dropIns", \.dropIns, .map(.label, { $0 }, .text()), "Drop-ins by name, without .conf"),
        ]
    }
}

extension TimerResource: Declared {
    static var about: String { "A command that systemd runs by the calendar" }
    static var fields: [Field<TimerResource>] {
        [
            .key("timer", \.name, .name(.label), required: true, "Its name without suffix"),
            .key("schedule", \.schedule, .line("an OnCalendar expression"), required: true, "When it runs"),
            .key("command", \.command, .command, required: true, "What it runs"),
            .key("user", \.user, .name(.account), "As whom"),
            .key("persistent", \.persistent, .flag, "Runs at boot what was missed"),
            .key("randomDelay", \.randomDelay, .duration, "Spread of the start"),
        ]
    }
}

extension SysctlResource: Declared {
    static var about: String { "A kernel setting" }
    static var fields: [Field<SysctlResource>] {
        [
            .key("sysctl", \.key, .name(.sysctl), required: true, "Its key"),
            .key("value", \.value, .line("a value"), required: true, "Its value"),
        ]
    }
}

extension AptRepositoryResource: Declared {
    static var about: String { "A package repository with its own key" }
    static var fields: [Field<AptRepositoryResource>] {
        [
            .key("aptRepository", \.name, .name(.label), required: true, "Its name"),
            .key("uris", \.uris, .oneOrMore(.repository), required: true, "Its addresses"),
            .key("suites", \.suites, .oneOrMore(.line("a suite")), required: true, "Its suites"),
            .key("components", \.components, .list(.name(.reference)), "Its components"),
            .key("architectures", \.architectures, .list(.name(.package)), "Architectures; the node's own if absent"),
            .key("key", \.key, .fleetPath, required: true, "The public key file that signs it, and only it"),
        ]
    }
}

extension Codec where Value == String {
    static var repository: Codec {
        .scalar(
            "a repository's URL (https, http or file)", pattern: "^(https?|file)://",
            parse: { text in
                let known = ["https://", "http://", "file:///"].contains { text.hasPrefix($0) }
                let plain = text.unicodeScalars.allSatisfy { $0.isASCII && $0.value > 0x20 && $0.value < 0x7f }
                return known && plain && !SourceText.holdsPassword(text) && text.utf8.count <= 1024 ? text : nil
            })
    }
}

extension FirewallResource: Declared {
    static var about: String { "An opening in the firewall" }
    static var fields: [Field<FirewallResource>] {
        [
            .key("firewall", \.name, .name(.label), required: true, "Its name"),
            .key("allow", \.allow, .oneOrMore(.port), required: true, "Destination ports"),
            .key("transport", \.transport, .choice(), "Transport"),
            .key("from", \.from, .oneOrMore(.network), "Addresses or networks; anywhere if absent"),
        ]
    }
}
