import BasculeModel

extension ErrorCode {
    /// libmariadb.so.3 is not on this machine.
    package static let mysqlLibraryMissing: ErrorCode = "mysql-library-missing"
    /// A `mysql://` address cannot be understood. The address itself is never shown.
    package static let mysqlAddressInvalid: ErrorCode = "mysql-address-invalid"
    /// A MySQL server could not be reached, or refused the login.
    package static let mysqlConnection: ErrorCode = "mysql-connection"
    /// A MySQL server refused a statement. Its number stands in the cause.
    package static let mysqlStatement: ErrorCode = "mysql-statement"
}

/// What a MySQL server or its client library said. No password is ever in it.
package struct MyError: Error, Hashable, Sendable {
    /// The server's number (1142: no right), or the client library's (2000 to 2999).
    package var number: Int
    package var message: String

    package init(number: Int, message: String) {
        self.number = number
        self.message = message
    }

    /// Only a new connection can help.
    package var isConnection: Bool { (2000..<3000).contains(number) || [1053, 1927, 1317, 4031].contains(number) }
    /// A missing right on an object, or a login that is refused or locked: the answers of a fence.
    package var isRefusedRight: Bool {
        [1044, 1045, 1142, 1143, 1227, 1290, 1370, 1410, 1449, 1698, 1836, 3118, 4151].contains(number)
    }

    /// The error as users see it: `doing` names the work as a clause.
    package func basculeError(_ doing: String, at place: Place? = nil, hint: String? = nil) -> BasculeError {
        BasculeError(
            isConnection ? .mysqlConnection : .mysqlStatement, "MySQL failed while \(doing)", at: place,
            cause: "error \(number): \(message)", hint: hint ?? usualHint)
    }

    private var usualHint: String? {
        switch number {
        case 1045, 1698: "Check user and password, and from which hosts the account may log in."
        case 1049: "The database in the address does not exist on that server."
        case 1044: "Correct the database's name, or grant the account in the address a right on it."
        case 1142, 1227: "Grant the right to the account in the address, or use another account."
        case 1040, 1203, 1226: "The server has no free connection for this account."
        case 2026:
            "The server's certificate must be signed by an authority that this node trusts and carry the host's name; "
                + "an address may say ?ca=/FILE, ?tls=unverified or ?tls=off."
        default: isConnection ? "Check that the server is reachable from this node, then run again." : nil
        }
    }
}

/// How values and names are written into SQL for MySQL, in a session whose `sql_mode` is empty.
package enum MyQuote {
    package static func identifier(_ name: String) -> String {
        "`" + String(decoding: name.utf8.flatMap { $0 == UInt8(ascii: "`") ? [$0, $0] : [$0] }, as: UTF8.self) + "`"
    }

    package static func literal(_ text: String) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "'")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "'"))
        return String(decoding: bytes, as: UTF8.self)
    }
}
