import BasculeModel

/// Where a MySQL or MariaDB server is and how to log in. Printing it shows neither user nor password.
package struct MyAddress: Sendable, Equatable, CustomStringConvertible {
    package enum TLS: String, Sendable {
        /// Encrypted, with the certificate's chain and name checked: the default.
        case verified
        /// Encrypted only.
        case unverified
        case off
    }
    package var host: String
    package var port: Int
    package var socket: String?
    package var user: String
    package var password: Secret
    package var database: String
    package var tls: TLS
    /// A file of certificates to trust; the system's if nothing is said.
    package var authorities: String

    package static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    package init(
        host: String, port: Int = 3306, socket: String? = nil, user: String, password: Secret, database: String,
        tls: TLS = .verified, authorities: String = systemAuthorities
    ) {
        (self.host, self.port, self.socket, self.user, self.password) = (host, port, socket, user, password)
        (self.database, self.tls, self.authorities) = (database, tls, authorities)
    }

    package var description: String { "\(socket ?? "\(host):\(port)")/\(database)" }

    /// Whether data would cross a network readable, or to whoever answers.
    package var isExposed: Bool { tls != .verified && socket == nil && !Self.isLoopback(host) }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }

    /// `mysql://user:password@host:port/database?tls=verified|unverified|off&ca=/FILE&socket=/PATH`; `mariadb://` is the
    /// same. TLS is verified unless the address says otherwise or is of this machine. Parameters of other programs
    /// (such as Prisma's `connection_limit`) are ignored.
    ///
    /// Error: `mysql-address-invalid`, which says what is wrong but never repeats the address.
    package init(url: Secret) throws {
        let text = url.reveal()
        guard let colon = text.firstRange(of: "://") else { throw Self.invalid("it has no scheme") }
        guard ["mysql", "mariadb"].contains(text[..<colon.lowerBound]) else {
            throw Self.invalid("its scheme is neither mysql nor mariadb")
        }
        var rest = text[colon.upperBound...]
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var login: Substring = ""
        if let at = rest.lastIndex(of: "@") {
            login = rest[..<at]
            rest = rest[rest.index(after: at)...]
        }
        guard let slash = rest.firstIndex(of: "/"), rest.index(after: slash) < rest.endIndex else {
            throw Self.invalid("it names no database")
        }
        let database = try Self.decoded(rest[rest.index(after: slash)...])
        let (host, port) = try Self.hostAndPort(rest[..<slash])
        let parts = login.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            host: host, port: port, user: try Self.decoded(parts.first ?? ""),
            password: Secret(try Self.decoded(parts.count == 2 ? parts[1] : "")), database: database,
            tls: Self.isLoopback(host) ? .off : .verified)
        for pair in query.split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = try Self.decoded(sides.count == 2 ? sides[1] : "")
            switch sides[0] {
            case "tls":
                guard let tls = TLS(rawValue: value) else {
                    throw Self.invalid("tls is none of verified, unverified, off")
                }
                self.tls = tls
            case "ca", "sslcert": authorities = value
            case "socket": socket = value
            default: break
            }
        }
        guard socket != nil || !host.isEmpty else { throw Self.invalid("it has no host") }
    }

    private static func hostAndPort(_ text: Substring) throws -> (String, Int) {
        var host = text
        var port = 3306
        let afterBracket = text.lastIndex(of: "]") ?? text.startIndex
        if let colon = text[afterBracket...].lastIndex(of: ":") {
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw invalid("its port is not a number between 1 and 65535")
            }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (String(host), port)
    }

    private static func decoded(_ text: Substring) throws -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard bytes.count >= 2, let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16),
                value != 0
            else { throw invalid("a percent sign in it is not followed by two hexadecimal digits") }
            out.append(value)
            bytes = bytes.dropFirst(2)
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func invalid(_ why: String) -> BasculeError {
        BasculeError(
            .mysqlAddressInvalid, "The address of the MySQL server cannot be used: \(why)",
            hint: "Set the secret to mysql://USER:PASSWORD@HOST:PORT/DATABASE; encode special characters as %XX.")
    }
}
