import BasculeModel
import CPostgres

/// Where to connect. The password is only in `secret` forms and never printed.
package enum PGTarget: Sendable {
    /// A conninfo string or a `postgresql://` URL, as the user gave it.
    case conninfo(Secret)
    /// A server of this machine.
    case local(socket: String, port: Int, database: String, user: String, password: Secret?)
}

/// One connection to a PostgreSQL server: the only owner of its libpq handle. Calls block. A connection is used by one
/// thread at a time; several threads take one each. Only `canceller` may be used from elsewhere.
package final class PGConnection {
    let handle: OpaquePointer
    /// For example 150020.
    package let serverVersion: Int
    /// 12, 15, 17.
    package var majorVersion: Int { serverVersion / 10_000 }
    private let password: String?

    /// Connects. `options` are session settings sent with the login (name → value). `timeout` in seconds.
    /// `replication`: a connection to a WAL sender, which knows `script` only.
    package init(
        _ target: PGTarget, application: String = "bascule", timeout: Int = 10, settings: [(String, String)] = [],
        replication: Bool = false
    ) throws {
        if let said = cpq_load() {
            throw BasculeError(
                .postgresLibraryMissing, "libpq.so.5 cannot be loaded", cause: String(cString: said),
                hint: "Install the package libpq5 on this node.")
        }
        var parameters = try Self.parameters(target, application: application, timeout: timeout)
        if replication { parameters.pairs.append(("replication", "database")) }
        password = parameters.password
        let opened = withCStrings(parameters.pairs.map(\.0)) { keywords in
            withCStrings(parameters.pairs.map(\.1)) { values in cpq_connect(keywords, values) }
        }
        guard let opened else { throw BasculeError(.postgresConnection, "libpq is out of memory") }
        guard cpq_is_ok(opened) == 1 else {
            let text = Self.cleaned(String(cString: cpq_error(opened)), password: parameters.password)
            cpq_finish(opened)
            throw PGError(state: "08000", message: text, isConnection: true)
                .basculeError("connecting", at: .thing(parameters.shown))
        }
        handle = opened
        serverVersion = Int(cpq_server_version(opened))
        place = parameters.shown
        if !settings.isEmpty {
            // One round trip; a setting that this server does not know (a newer one's timeout) is left out.
            let values = settings.map { "(\(PGQuote.literal($0.0)),\(PGQuote.literal($0.1)))" }
                .joined(separator: ",")
            do {
                try query(
                    """
                    SELECT pg_catalog.set_config(v.name, v.value, false) FROM (VALUES \(values)) v(name, value)
                    JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) v.name
                    """)
            } catch { throw error.basculeError("setting up the session", at: .thing(place)) }
        }
    }

    /// Host, port and database: enough to know which server is meant.
    package let place: String

    deinit { cpq_finish(handle) }

    /// True inside a transaction, failed or not.
    package var inTransaction: Bool {
        let status = cpq_transaction_status(handle)
        return status == 2 || status == 3
    }

    /// The server's value of a reported parameter such as `server_encoding`.
    package func parameter(_ name: String) -> String? { cpq_parameter(handle, name).map { String(cString: $0) } }

    /// The number of the server's process, as the login was told. Behind a pooler it is another one's.
    package var backend: Int { Int(cpq_backend(handle)) }

    /// Runs one statement with text parameters over the extended protocol, which takes one statement only: text that
    /// came from a foreign catalog cannot smuggle in a second one. Throws `PGError`.
    @discardableResult
    package func query(_ sql: String, _ parameters: [String?] = []) throws(PGError) -> PGRows {
        let result = withCStrings(parameters) { values in
            cpq_exec_params(handle, sql, Int32(parameters.count), values)
        }
        return try rows(of: result)
    }

    /// Runs our own text, possibly several statements, over the simple protocol. Throws `PGError`.
    @discardableResult
    package func script(_ sql: String) throws(PGError) -> PGRows {
        try rows(of: cpq_exec(handle, sql))
    }

    /// Runs `body` between BEGIN and COMMIT; an error rolls back and is thrown on.
    package func transaction<T>(_ begin: String = "BEGIN", _ body: () throws -> T) throws -> T {
        try query(begin)
        do {
            let value = try body()
            try query("COMMIT")
            return value
        } catch {
            _ = try? query("ROLLBACK")
            throw error
        }
    }

    /// What another thread needs to stop the running statement.
    package var canceller: PGCanceller { PGCanceller(cpq_get_cancel(handle)) }

    func rows(of result: OpaquePointer?) throws(PGError) -> PGRows {
        guard let result else { throw connectionError() }
        defer { cpq_clear(result) }
        switch Int(cpq_status(result)) {
        case CPQ_COMMAND_OK, CPQ_TUPLES_OK, CPQ_EMPTY_QUERY, CPQ_COPY_IN, CPQ_COPY_OUT: return PGRows(result)
        default: throw error(of: result)
        }
    }

    func error(of result: OpaquePointer) -> PGError {
        func field(_ letter: Character) -> String? {
            letter.asciiValue.flatMap { cpq_error_field(result, Int32($0)) }
                .map { Self.cleaned(String(cString: $0), password: password) }
        }
        let state = field("C")
        let lost = cpq_is_ok(handle) == 0
        return PGError(
            state: state ?? (lost ? "08006" : "XX000"),
            message: field("M") ?? Self.cleaned(String(cString: cpq_result_error(result)), password: password),
            detail: field("D"), context: field("W"), isConnection: lost)
    }

    func connectionError() -> PGError {
        let text = Self.cleaned(String(cString: cpq_error(handle)), password: password)
        return PGError(state: "08006", message: text, isConnection: true)
    }

    private static func cleaned(_ text: String, password: String?) -> String {
        var line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        if let password, !password.isEmpty { line = line.split(separator: password).joined(separator: "‹secret›") }
        return line
    }
}

/// Cancels the running statement of one connection from any thread.
package final class PGCanceller: @unchecked Sendable {
    // libpq's cancel object is immutable and PQcancel is documented as thread-safe.
    private let handle: OpaquePointer?
    init(_ handle: OpaquePointer?) { self.handle = handle }
    deinit { if let handle { cpq_free_cancel(handle) } }
    /// Asks the server to stop; the connection's own thread then gets SQLSTATE 57014.
    package func cancel() { if let handle { _ = cpq_send_cancel(handle) } }
}
