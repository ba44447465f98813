import BasculeModel
import BasculeNet

/// Where a Redis server is and how to log in. Printing it shows neither user nor password.
package struct RedisAddress: Sendable, Equatable, CustomStringConvertible {
    package var endpoint: Endpoint
    /// Nil for a plain connection; else the name that the server's certificate must prove.
    package var tlsName: String?
    package var user: String?
    package var password: Secret?
    package var database: Int

    package init(
        endpoint: Endpoint, tlsName: String? = nil, user: String? = nil, password: Secret? = nil, database: Int = 0
    ) {
        self.endpoint = endpoint
        self.tlsName = tlsName
        self.user = user
        self.password = password
        self.database = database
    }

    package var description: String { database == 0 ? "\(endpoint)" : "\(endpoint)/\(database)" }

    /// Whether password and data would cross a network unencrypted.
    var isExposed: Bool {
        guard tlsName == nil else { return false }
        switch endpoint {
        case .unix: return false
        case .host(let name, _): return !(name == "localhost" || name == "::1" || name.hasPrefix("127."))
        case .address(let address, _): return !("\(address)" == "::1" || "\(address)".hasPrefix("127."))
        }
    }

    /// `redis://[user][:password]@host[:port][/database]`, or `rediss://` for TLS; a query is ignored.
    ///
    /// Error: `redis-address-invalid`, which says what is wrong but never repeats the address.
    package init(url: Secret) throws {
        let text = url.reveal()
        guard let colon = text.firstRange(of: "://") else { throw Self.invalid("it has no scheme") }
        let scheme = text[..<colon.lowerBound]
        guard scheme == "redis" || scheme == "rediss" else {
            throw Self.invalid("its scheme is neither redis nor rediss")
        }
        var rest = text[colon.upperBound...]
        if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = rest[..<end] }
        var login: Substring?
        if let at = rest.lastIndex(of: "@") {
            login = rest[..<at]
            rest = rest[rest.index(after: at)...]
        }
        var database = 0
        if let slash = rest.firstIndex(of: "/") {
            let name = rest[rest.index(after: slash)...]
            if !name.isEmpty {
                guard let number = Int(name), (0...65535).contains(number) else {
                    throw Self.invalid("its path is not the number of a database")
                }
                database = number
            }
            rest = rest[..<slash]
        }
        let (host, port) = try Self.hostAndPort(rest)
        self.init(endpoint: .host(host, port: port), tlsName: scheme == "rediss" ? host : nil, database: database)
        if let login {
            let parts = login.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let user = String(decoding: try Self.decoded(parts[0]), as: UTF8.self)
            if !user.isEmpty { self.user = user }
            if parts.count == 2, !parts[1].isEmpty { password = Secret(bytes: try Self.decoded(parts[1])) }
        }
    }

    private static func hostAndPort(_ text: Substring) throws -> (String, UInt16) {
        var host = text
        var port: UInt16 = 6379
        let afterBracket = text.lastIndex(of: "]") ?? text.startIndex
        if let colon = text[afterBracket...].lastIndex(of: ":") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
                throw invalid("its port is not a number between 1 and 65535")
            }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw invalid("it has no host") }
        return (String(host), port)
    }

    private static func decoded(_ text: Substring) throws -> [UInt8] {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard bytes.count >= 2, let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            else {
                throw invalid("a percent sign in its login is not followed by two hexadecimal digits")
            }
            out.append(value)
            bytes = bytes.dropFirst(2)
        }
        return out
    }

    private static func invalid(_ why: String) -> BasculeError {
        BasculeError(
            .redisAddressInvalid, "The address of the Redis server cannot be used: \(why)",
            hint: "Set the secret to redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS.")
    }
}
