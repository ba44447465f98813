import BasculeModel
import CMySQL
import Glibc

/// One row on its way through: valid until the next one is fetched.
package struct MyRow {
    let cells: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    let lengths: UnsafePointer<UInt>
    package let count: Int

    /// A cell's bytes; nil is SQL's NULL.
    package subscript(index: Int) -> UnsafeRawBufferPointer? {
        cells[index].map { UnsafeRawBufferPointer(start: $0, count: Int(lengths[index])) }
    }
}

/// One connection to a MySQL or MariaDB server: the only owner of its handle. Calls block; one thread at a time.
///
/// The session speaks utf8mb4 and UTC with an empty `sql_mode`, so that values look the same on every server.
package final class MyConnection {
    private let handle: OpaquePointer
    private var isCut = false
    /// As the server tells it, for example `10.11.19-MariaDB-0+deb12u1`.
    package let version: String
    package var isMariaDB: Bool { version.contains("MariaDB") }
    /// Host, port and database: enough to know which server is meant.
    package let place: String
    /// The server's number of this session.
    package let thread: UInt

    /// Connects. `timeout` in seconds.
    package init(_ address: MyAddress, timeout: Int = 10) throws {
        if let said = cmy_load() {
            throw BasculeError(
                .mysqlLibraryMissing, "libmariadb.so.3 cannot be loaded", cause: String(cString: said),
                hint: "Install the package libmariadb3 on this node.")
        }
        place = address.description
        var said = [CChar](repeating: 0, count: 512)
        var code: UInt32 = 0
        let opened = Self.connect(address, timeout: timeout, &said, &code)
        guard let opened else {
            var text = String(decoding: said.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let password = address.password.reveal()
            if !password.isEmpty { text = text.split(separator: password).joined(separator: "‹secret›") }
            throw MyError(number: Int(code), message: text).basculeError("connecting", at: .thing(place))
        }
        handle = opened
        version = cmy_version(opened).map { String(cString: $0) } ?? ""
        thread = cmy_thread(opened)
        do {
            for statement in Self.session { try query(statement) }
        } catch { throw error.basculeError("setting up the session", at: .thing(place)) }
        // Known to one of the two families, or to newer versions, only.
        for statement in Self.wishes { _ = try? query(statement) }
    }

    deinit { cmy_close(handle) }

    private static let session = [
        "SET NAMES utf8mb4", "SET SESSION sql_mode = ''", "SET SESSION time_zone = '+00:00'",
        "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 86400",
        "SET SESSION lock_wait_timeout = 10",
    ]
    private static let wishes = [
        "SET SESSION max_statement_time = 0", "SET SESSION max_execution_time = 0",
        "SET SESSION information_schema_stats_expiry = 0", "SET SESSION idle_transaction_timeout = 0",
    ]

    private static func connect(
        _ address: MyAddress, timeout: Int, _ said: inout [CChar], _ code: inout UInt32
    ) -> OpaquePointer? {
        let texts = [
            address.socket == nil ? address.host : nil, address.user, address.password.reveal(), address.database,
            address.socket, address.authorities,
        ].map { $0.flatMap { strdup($0) } }
        defer { texts.forEach { free($0) } }
        var target = cmy_target()
        func text(_ index: Int) -> UnsafePointer<CChar>? { texts[index].map { UnsafePointer($0) } }
        (target.host, target.user, target.password, target.database) = (text(0), text(1), text(2), text(3))
        (target.socket, target.authorities) = (text(4), text(5))
        target.port = UInt32(address.port)
        target.timeout = UInt32(timeout)
        target.tls =
            switch address.tls {
            case .off: Int32(CMY_TLS_OFF)
            case .unverified: Int32(CMY_TLS_UNVERIFIED)
            case .verified: Int32(CMY_TLS_VERIFIED)
            }
        return said.withUnsafeMutableBufferPointer { cmy_connect(&target, $0.baseAddress, $0.count, &code) }
    }

    /// Runs one statement; the rows' cells as text. A nil is SQL's NULL. Throws `MyError`.
    @discardableResult
    package func query(_ sql: String) throws(MyError) -> [[String?]] {
        var rows: [[String?]] = []
        do {
            try stream(sql) { row in
                rows.append((0..<row.count).map { row[$0].map { String(decoding: $0, as: UTF8.self) } })
            }
        } catch let error as MyError { throw error } catch { throw MyError(number: 0, message: "\(error)") }
        return rows
    }

    /// Runs one statement and gives its rows to `body` as they come. What `body` throws cuts the connection, since the
    /// rest of the rows would have to be read otherwise. Throws `MyError`, or what `body` threw.
    package func stream(_ sql: String, _ body: (MyRow) throws -> Void) throws {
        guard !isCut else { throw MyError(number: 2006, message: "the connection was cut") }
        guard sql.withCString({ cmy_query(handle, $0, strlen($0)) }) == 0 else { throw failure() }
        guard let result = cmy_use(handle) else {
            if cmy_errno(handle) != 0 { throw failure() }
            return
        }
        let count = Int(cmy_columns(result))
        do {
            while let cells = cmy_row(result), let lengths = cmy_lengths(result) {
                try body(MyRow(cells: cells, lengths: lengths, count: count))
            }
        } catch {
            cut()
            cmy_free(result)
            throw error
        }
        let code = cmy_errno(handle)
        let error = code == 0 ? nil : failure()
        cmy_free(result)
        if let error { throw error }
    }

    /// Ends the connection at once.
    package func cut() {
        isCut = true
        cmy_cut(handle)
    }

    private func failure() -> MyError {
        let text = cmy_error(handle).map { String(cString: $0) } ?? ""
        return MyError(
            number: Int(cmy_errno(handle)), message: text.split(whereSeparator: \.isNewline).joined(separator: " "))
    }
}
