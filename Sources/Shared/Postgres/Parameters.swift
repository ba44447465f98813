import BasculeModel
import CPostgres
import Glibc

extension PGConnection {
    struct Parameters {
        var pairs: [(String, String)]
        var password: String?
        var shown: String
    }

    static func parameters(_ target: PGTarget, application: String, timeout: Int) throws -> Parameters {
        var pairs: [(String, String)]
        var password: String?
        var shown: String
        switch target {
        case .conninfo(let secret):
            let text = secret.reveal()
            // Parsed first: libpq's own message about a malformed string quotes the string.
            let host = conninfoValue(text, "host")
            guard host.parses else {
                throw BasculeError(
                    .invalidInput, "The PostgreSQL connection string is malformed",
                    hint: "Use postgresql://user:password@host:port/database; encode special characters as %XX.")
            }
            password = conninfoValue(text, "password").value
            let address = [host.value, conninfoValue(text, "port").value].compactMap { $0 }.joined(separator: ":")
            shown = address + "/" + (conninfoValue(text, "dbname").value ?? "")
            pairs = [("dbname", text)]
        case .local(let socket, let port, let database, let user, let secret):
            pairs = [
                ("host", socket), ("port", "\(port)"), ("dbname", quotedConninfo(database)), ("user", user),
            ]
            if let secret {
                password = secret.reveal()
                pairs.append(("password", secret.reveal()))
            }
            shown = "\(socket):\(port)/\(database)"
        }
        pairs += [
            ("connect_timeout", "\(timeout)"), ("application_name", application), ("client_encoding", "UTF8"),
            ("keepalives", "1"), ("keepalives_idle", "15"), ("keepalives_interval", "5"), ("keepalives_count", "4"),
        ]
        return Parameters(pairs: pairs, password: password, shown: shown)
    }

    /// A connection string of the user's as `key='value'` pairs without its password, and the password by itself.
    package static func withoutPassword(_ secret: Secret) -> (conninfo: String, password: String?) {
        let text = secret.reveal()
        let parts = passedOn.compactMap { keyword in
            conninfoValue(text, keyword).value.map { value in
                let escaped = value.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
                return "\(keyword)='\(escaped)'"
            }
        }
        return (parts.joined(separator: " "), conninfoValue(text, "password").value)
    }

    /// What matters to a server that connects in our place.
    private static let passedOn = [
        "host", "hostaddr", "port", "dbname", "user", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
        "channel_binding", "gssencmode", "options", "ssl_min_protocol_version", "sslsni",
    ]

    // `dbname` is expanded when it looks like a conninfo string, so a hostile name is wrapped as one.
    private static func quotedConninfo(_ database: String) -> String {
        guard database.contains("=") || database.contains("://") else { return database }
        let escaped = database.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
        return "dbname='\(escaped)'"
    }

    private static func conninfoValue(_ text: String, _ keyword: String) -> (value: String?, parses: Bool) {
        var buffer = [CChar](repeating: 0, count: 1024)
        let found = buffer.withUnsafeMutableBufferPointer {
            cpq_conninfo_value(text, keyword, $0.baseAddress, $0.count)
        }
        guard found >= 0 else { return (nil, false) }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return (found == 1 ? String(decoding: bytes, as: UTF8.self) : nil, true)
    }
}

/// Lends an array of C strings that ends with NULL; a nil element is NULL too.
func withCStrings<T>(_ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) throws -> T) rethrows -> T {
    let copies = texts.map { text in text.flatMap { strdup($0) } }
    defer { copies.forEach { free($0) } }
    let pointers = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: copies.count + 1)
    defer { pointers.deallocate() }
    for (index, copy) in copies.enumerated() { (pointers + index).initialize(to: copy.map { UnsafePointer($0) }) }
    (pointers + copies.count).initialize(to: nil)
    return try body(pointers)
}
