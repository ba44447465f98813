import BasculeModel
import Synchronization

/// HTTP/1.1, one request a call, blocking. Connections are kept and used again within one client; any number of
/// threads may share it.
package final class HTTPClient: Sendable {
    /// How a client behaves.
    package struct Options: Sendable {
        package var trust: TLSTrust
        package var resolver: any Resolver
        /// Connects here whatever the URL's host says, like `curl --connect-to`; the name for TLS and `Host` stay.
        /// Only requests to `onlyHost` are led astray if that is set.
        package var connectTo: Endpoint?
        package var onlyHost: String?
        /// Bytes.
        package var maxBody: Int
        package var maxRedirects: Int

        package init(
            trust: TLSTrust = .systemStore, resolver: any Resolver = SystemResolver(), connectTo: Endpoint? = nil,
            onlyHost: String? = nil, maxBody: Int = 8 << 20, maxRedirects: Int = 5
        ) {
            self.trust = trust
            self.resolver = resolver
            self.connectTo = connectTo
            self.onlyHost = onlyHost
            self.maxBody = maxBody
            self.maxRedirects = maxRedirects
        }
    }

    private struct Origin: Hashable {
        let secure: Bool
        let host: String
        let port: UInt16
    }

    private let options: Options
    private let idle = Mutex<[Origin: [HTTPConnection]]>([:])
    private let context = Mutex<TLSContext?>(nil)
    private static let maxIdle = 4

    package init(_ options: Options = Options()) { self.options = options }

    /// One request and its whole answer; any status is an answer, not an error.
    ///
    /// A redirect is followed only with `follow`; 303 (and 301, 302 after a POST) go on as GET, and headers named
    /// `Authorization` and `Cookie` stay with the host they were given for.
    /// Errors: `invalid-input`, `name-not-resolved`, `connect-failed`, `timed-out`, `connection-closed`,
    /// `too-much-data`, `protocol-violation`, `tls-…`.
    package func request(
        _ method: String, _ url: String, headers: HTTPHeaders = [:], body: [UInt8]? = nil, follow: Bool = false,
        deadline: Deadline
    ) throws -> HTTPResponse {
        var request = HTTPRequest(method: method, url: try HTTPURL(url), headers: headers, body: body)
        for _ in 0...max(0, options.maxRedirects) {
            let response = try exchange(request, deadline: deadline)
            guard follow, let next = try Self.redirect(request, response) else { return response }
            request = next
        }
        throw BasculeError(
            .protocolViolation, "The server redirects more than \(options.maxRedirects) times", at: .thing(url))
    }

    /// Closes the kept connections.
    package func close() {
        let all = idle.withLock { kept in
            defer { kept = [:] }
            return kept.values.flatMap { $0 }
        }
        for connection in all { connection.stream.close() }
    }

    /// The request that follows a redirect; nil if the answer is none. Pure.
    static func redirect(_ request: HTTPRequest, _ response: HTTPResponse) throws -> HTTPRequest? {
        guard [301, 302, 303, 307, 308].contains(response.status), let location = response.headers["Location"] else {
            return nil
        }
        let url = try request.url.resolving(location)
        let asGet = response.status == 303 || (response.status < 303 && request.method == "POST")
        var headers = HTTPHeaders()
        let same = url.host == request.url.host && url.port == request.url.port && url.secure == request.url.secure
        for field in request.headers.fields {
            let name = field.name.lowercased()
            if !same, ["authorization", "cookie", "host"].contains(name) { continue }
            if asGet, name == "content-type" { continue }
            headers.add(field.name, field.value)
        }
        return HTTPRequest(
            method: asGet && request.method != "HEAD" ? "GET" : request.method, url: url, headers: headers,
            body: asGet ? nil : request.body)
    }

    private func exchange(_ request: HTTPRequest, deadline: Deadline) throws -> HTTPResponse {
        let bytes = try request.encoded()
        let origin = Origin(secure: request.url.secure, host: request.url.host, port: request.url.port)
        let started = Monotonic.now()
        if let kept = takeIdle(origin) {
            do {
                return try run(request, bytes, on: kept, origin: origin, started: started, deadline: deadline)
            } catch let error as BasculeError
                where error.code == .connectionClosed && !kept.hasAnswered && Self.mayRepeat(request.method)
            {
                // The server ended the kept connection just then and has not seen the request.
            }
        }
        let fresh = try connect(to: request.url, deadline: deadline)
        return try run(request, bytes, on: fresh, origin: origin, started: started, deadline: deadline)
    }

    private static func mayRepeat(_ method: String) -> Bool {
        ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].contains(method)
    }

    private func run(
        _ request: HTTPRequest, _ bytes: [UInt8], on connection: HTTPConnection, origin: Origin, started: UInt64,
        deadline: Deadline
    ) throws -> HTTPResponse {
        do {
            let limits = HTTPParser.Limits(body: options.maxBody)
            let response = try connection.exchange(
                request, bytes, limits: limits, started: started, deadline: deadline)
            if connection.canContinue { keep(connection, origin) } else { connection.stream.close() }
            return response
        } catch {
            connection.stream.close()
            throw (error as? BasculeError)?.placed(at: .thing(connection.stream.peer)) ?? error
        }
    }

    private func connect(to url: HTTPURL, deadline: Deadline) throws -> HTTPConnection {
        let astray = options.onlyHost.map { $0.lowercased() == url.host } ?? true
        let endpoint = (astray ? options.connectTo : nil) ?? .host(url.host, port: url.port)
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline, resolver: options.resolver)
        guard url.secure else { return HTTPConnection(stream: stream, socket: stream) }
        let context = try self.context.withLock { kept in
            if let kept { return kept }
            let made = try TLSContext(trust: options.trust)
            kept = made
            return made
        }
        let secured = try TLSStream(over: stream, serverName: url.host, context: context, deadline: deadline)
        return HTTPConnection(stream: secured, socket: stream)
    }

    private func takeIdle(_ origin: Origin) -> HTTPConnection? {
        while let candidate = idle.withLock({ $0[origin]?.popLast() }) {
            if !candidate.socket.isStale {
                candidate.reuse()
                return candidate
            }
            candidate.stream.close()
        }
        return nil
    }

    private func keep(_ connection: HTTPConnection, _ origin: Origin) {
        let kept = idle.withLock { all in
            guard all[origin, default: []].count < Self.maxIdle else { return false }
            all[origin, default: []].append(connection)
            return true
        }
        if !kept { connection.stream.close() }
    }
}
