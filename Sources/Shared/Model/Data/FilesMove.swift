/// A move of a directory tree from another machine, by rsync over SSH, started on the node.
package struct FilesMove: Hashable, Codable, Sendable {
    /// `user@host:/absolute/path`, as the fleet file says it. An IPv6 address stands in brackets.
    package var from: String
    package var port: UInt16 = 22
    /// The source's host key: its type and base64, as `known_hosts` has them after the name. Nothing else is believed.
    package var hostKey: String
    /// The file on the node that holds the private key of the login.
    package var identity: String
    /// The absolute path of the directory on the node; made if missing, its parent must exist.
    package var to: String
    /// Local user and group that own everything at the target; nil leaves what rsync makes as the agent's user.
    package var owner: String?
    package var group: String?
    /// What becomes of files that are at the target before the first run.
    package var existing: FilesExisting = .refuse
    /// Whether the sync deletes at the target what the source no longer has. Never anything that was there before
    /// the move, unless `existing` is `replace`.
    package var delete: Bool = false
    /// At most so many KiB a second; nil for no limit.
    package var maxKiBPerSecond: Int?
    /// Patterns left behind, as rsync takes them; nil for none.
    package var exclude: [String]?
    /// Where the database names these files; nil for no check.
    package var references: [FilesReference]?

    package init(from: String, hostKey: String, identity: String, to: String) {
        self.from = from
        self.hostKey = hostKey
        self.identity = identity
        self.to = to
    }
}

/// A column of the node's own database whose values name files of a move.
package struct FilesReference: Hashable, Codable, Sendable {
    package var database: String
    package var socket: String
    package var port: Int
    /// Who may read it over the socket.
    package var user: String
    /// `schema.table.column`, or `table.column` in the schema public. NULL and empty values name nothing.
    package var column: String
    /// What stands before the path in the values, such as `/uploads/` or `https://shop.example/uploads/`.
    package var prefix: String

    package init(
        database: String, socket: String = "/var/run/postgresql", port: Int = 5432, user: String = "postgres",
        column: String, prefix: String = ""
    ) {
        (self.database, self.socket, self.port) = (database, socket, port)
        (self.user, self.column, self.prefix) = (user, column, prefix)
    }
}

/// What becomes of files at the target that no run of this move wrote.
package enum FilesExisting: String, Hashable, Codable, Sendable {
    /// The move does not start.
    case refuse
    /// They stay unless the source has a file of that name.
    case merge
    /// The whole directory belongs to the move.
    case replace
}

/// What an agent can be asked about a move of files.
package enum FilesTask: Hashable, Codable, Sendable {
    /// Counts the source, looks at the target's space. Changes nothing.
    case preflight(FilesMove)
    /// Copies what is missing or has another size or time. Run again, it goes on where it was cut.
    case copy(FilesMove)
    /// The second pass, after the freeze. `thorough` compares contents instead of sizes and times.
    case sync(FilesMove, thorough: Bool)
    /// SHA-256 of every file on both sides, compared both ways. Changes nothing.
    case verify(FilesMove)
    /// Removes the mover's own files from the target.
    case finish(FilesMove)

    /// The move that the task is about.
    package var move: FilesMove {
        switch self {
        case .preflight(let move), .copy(let move), .sync(let move, _), .verify(let move), .finish(let move): move
        }
    }
}
