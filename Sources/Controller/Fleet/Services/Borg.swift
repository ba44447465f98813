import BasculeModel

/// `services.backup.borg`: files, by Borg: what no database holds.
package struct FileBackups: Sendable, Equatable {
    /// Names of targets; empty is all of them.
    package var targets: [String] = []
    /// Beside what is known by itself: /etc, the agent's state, the apps, fetched uploads, archives of old systems.
    package var paths: [String] = []
    /// Patterns of Borg's (`sh:`, `pp:`…) for what is left out.
    package var exclude: [String] = []
    /// Databases of this fleet's PostgreSQL that are dumped besides.
    package var dumps: [DatabaseName] = []
    /// By the node's clock. Default 03:10.
    package var time = "03:10"
    package var keep = Keep()
    package init() {}

    package struct Keep: Sendable, Equatable {
        package var daily = 7
        package var weekly = 4
        package var monthly = 6
        package init() {}
    }
}

extension FileBackups: Declared {
    static var about: String { "Archives of files by Borg, of every node with the role backup" }
    static var fields: [Field<FileBackups>] {
        [
            .key(
                "targets", \.targets, .list(.name(.backupTarget)),
                "Which targets, the first to restore from first; all if absent"),
            .key(
                "paths", \.paths, .list(.absolutePath),
                "Folders beside /etc, the agent's state, the apps, fetched uploads and archives of old systems"),
            .key("exclude", \.exclude, .list(.line("a pattern of Borg's")), "What of them is left out"),
            .key("dumps", \.dumps, .list(.name(.postgres)), "Databases that are dumped with pg_dump besides"),
            .key("time", \.time, .clock, "When the daily archive is made"),
            .key("keep", \.keep, .object, "What bascule snapshot prune leaves"),
        ]
    }
}

extension FileBackups.Keep: Declared {
    static var about: String { "How many archives stay; those of the last day always" }
    static var fields: [Field<FileBackups.Keep>] {
        [
            .key("daily", \.daily, .integer(1...3650), "The last one of so many days"),
            .key("weekly", \.weekly, .integer(0...520), "The last one of so many weeks"),
            .key("monthly", \.monthly, .integer(0...240), "The last one of so many months"),
        ]
    }
}
