import BasculeModel

extension ErrorCode {
    /// libpq.so.5 is not on this machine.
    package static let postgresLibraryMissing: ErrorCode = "postgres-library-missing"
    /// A PostgreSQL server could not be reached, or refused the login.
    package static let postgresConnection: ErrorCode = "postgres-connection"
    /// A PostgreSQL server refused a statement. The SQLSTATE stands in the cause.
    package static let postgresStatement: ErrorCode = "postgres-statement"
}

/// What a PostgreSQL server or libpq said, in its parts. No connection string and no password is ever in it.
package struct PGError: Error, Hashable, Sendable {
    /// Five characters; `08000` when the connection itself failed.
    package var state: String
    package var message: String
    package var detail: String?
    /// Where in the work of the server it happened: for COPY the table, line and column.
    package var context: String?
    /// True when the connection is gone, so that only a new one can help.
    package var isConnection: Bool

    package init(state: String, message: String, detail: String? = nil, context: String? = nil, isConnection: Bool) {
        self.state = state
        self.message = message
        self.detail = detail
        self.context = context
        self.isConnection = isConnection
    }

    /// Insufficient privilege, the answer of a fence.
    package var isRefusedRight: Bool { state == "42501" }
    /// A read-only transaction, the answer of a default that a session can override.
    package var isReadOnly: Bool { state == "25006" }
    /// The statement was cancelled by us.
    package var isCancelled: Bool { state == "57014" }

    /// The error as users see it: `doing` names the work as a clause ("copying public.orders").
    package func basculeError(_ doing: String, at place: Place? = nil, hint: String? = nil) -> BasculeError {
        var cause = "SQLSTATE \(state): \(message)"
        if let detail { cause += " (\(detail))" }
        if let context { cause += " [\(context)]" }
        let code: ErrorCode =
            switch state {
            case "57014": .cancelled
            case "53100": .diskFull
            default: isConnection ? .postgresConnection : .postgresStatement
            }
        return BasculeError(code, "PostgreSQL failed while \(doing)", at: place, cause: cause, hint: hint ?? usualHint)
    }

    /// Of a login that was refused libpq gives no SQLSTATE, only the server's words.
    private var connectionHint: String {
        func says(_ words: String...) -> Bool { words.contains { message.firstRange(of: $0) != nil } }
        if says("no encryption", "does not support SSL", "certificate") {
            return "Check sslmode and sslrootcert in the connection string against what the server wants."
        }
        if says("authentication failed", "pg_hba.conf", "no password supplied") {
            return "Check user, password and the server's pg_hba.conf."
        }
        if says("database \"") { return "The database in the connection string does not exist on that server." }
        return "Check that the server is reachable from this node, then run again."
    }

    private var usualHint: String? {
        switch state {
        case "28P01", "28000": "Check user, password and the server's pg_hba.conf."
        case "3D000": "The database in the connection string does not exist on that server."
        case "42501": "Grant the right to the role in the connection string, or use another role."
        case "53300": "The server has no free connection; lower the parallelism."
        case "53100": "Free space on the server, then run again: what is done stays done."
        case "57P01", "57P02", "57P03": "The server is stopping or starting; run again when it is up."
        default: isConnection ? connectionHint : nil
        }
    }
}
