import BasculeModel

/// Header fields in the order in which they came; names compare without case.
package struct HTTPHeaders: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [Field] = []

    /// One field.
    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }

    /// One more field, also if one of that name is there.
    package mutating func add(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    /// The first value of that name.
    package subscript(_ name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name.lowercased() == wanted }?.value
    }

    /// All values of that name.
    package func all(_ name: String) -> [String] {
        let wanted = name.lowercased()
        return fields.filter { $0.name.lowercased() == wanted }.map(\.value)
    }

    /// Whether a comma-separated field has this token.
    func has(_ token: String, in name: String) -> Bool {
        all(name).joined(separator: ",").lowercased().split(separator: ",").contains { $0.trimmed == token }
    }
}

/// When things happened, in milliseconds since the request was begun.
package struct HTTPTiming: Sendable, Equatable {
    /// Until the connection (and TLS) stood; 0 on a connection that was kept.
    package var connect: Double = 0
    /// Until the first byte of the answer.
    package var firstByte: Double = 0
    /// Until its last.
    package var total: Double = 0
}

/// A whole answer.
package struct HTTPResponse: Sendable, Equatable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: [UInt8]
    package var timing: HTTPTiming
    /// Where it came from, after redirects.
    package var url: HTTPURL
    /// The address that answered; nil over a Unix socket.
    package var address: IPAddress?

    /// The body as text; broken UTF-8 becomes replacement characters.
    package var text: String { String(decoding: body, as: UTF8.self) }
}

/// A request as bytes. Building one is the only way to the wire, so this is where injection is made impossible.
struct HTTPRequest {
    let method: String
    let url: HTTPURL
    let headers: HTTPHeaders
    let body: [UInt8]?

    /// Error: `invalid-input` for what could change the meaning of the message.
    func encoded() throws -> [UInt8] {
        guard !method.isEmpty, method.utf8.allSatisfy(Self.isToken) else {
            throw BasculeError(.invalidInput, "‘\(method.prefix(40))’ is not an HTTP method")
        }
        var lines = ["\(method) \(url.target) HTTP/1.1", "Host: \(headers["Host"] ?? url.authority)"]
        for field in headers.fields where field.name.lowercased() != "host" {
            guard !["content-length", "transfer-encoding", "connection"].contains(field.name.lowercased()) else {
                throw BasculeError(.invalidInput, "The header ‘\(field.name)’ is set by the client itself")
            }
            lines.append("\(field.name): \(field.value)")
        }
        for field in headers.fields {
            guard !field.name.isEmpty, field.name.utf8.allSatisfy(Self.isToken) else {
                throw BasculeError(.invalidInput, "‘\(field.name.prefix(40))’ is not the name of an HTTP header")
            }
            guard field.value.utf8.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else {
                throw BasculeError(
                    .invalidInput, "The value of the header ‘\(field.name)’ has a control character")
            }
        }
        if headers["User-Agent"] == nil { lines.append("User-Agent: bascule") }
        if headers["Accept"] == nil { lines.append("Accept: */*") }
        if headers["Accept-Encoding"] == nil { lines.append("Accept-Encoding: identity") }
        if let body {
            lines.append("Content-Length: \(body.count)")
        } else if ["POST", "PUT", "PATCH"].contains(method) {
            lines.append("Content-Length: 0")
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + (body ?? [])
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        byte > 32 && byte < 127 && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
    }
}

extension StringProtocol {
    /// Without blanks and tabs at both ends.
    var trimmed: String {
        var part = self[...]
        while let first = part.first, first == " " || first == "\t" { part = part.dropFirst() }
        while let last = part.last, last == " " || last == "\t" { part = part.dropLast() }
        return String(part)
    }
}
