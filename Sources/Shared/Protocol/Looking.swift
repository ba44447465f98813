import BasculeModel

/// The messages of a command that only looks, in the very bytes of `Request` and `Reply`. The coding that the compiler
/// makes for those prepares the containers of all their cases before it touches one, which in a process that lives for
/// 30 ms costs more than the rest of the message.
private struct First<Value: Codable>: Codable {
    var _0: Value
}

private struct HelloBody: Encodable {
    var hello: First<Hello>
}

private struct ObserveBody: Encodable {
    var observe: First<[DesiredResource]>
}

private struct WelcomeBody: Decodable {
    var welcome: First<Welcome>
}

private struct ObservationsBody: Decodable {
    var observations: First<[Observation]>
}

extension Request {
    /// The request's canonical bytes.
    package func encoded() throws -> [UInt8] {
        switch self {
        case .hello(let hello): try Wire.encode(HelloBody(hello: First(_0: hello)))
        case .observe(let resources): try Wire.encode(ObserveBody(observe: First(_0: resources)))
        default: try Wire.encode(self)
        }
    }

    /// The request as a frame.
    package func frame(id: UInt32) throws -> [UInt8] { try Frame(.request, id: id, body: encoded()).encoded() }
}

extension Reply {
    /// The reply that a stranger's bytes stand for. Throws `protocol-violation`.
    package static func decoded(from bytes: [UInt8]) throws -> Reply {
        if bytes.starts(with: Array(#"{"observations":{"_0":"#.utf8)) {
            return .observations(try Wire.decode(ObservationsBody.self, from: bytes).observations._0)
        }
        if bytes.starts(with: Array(#"{"welcome":{"_0":"#.utf8)) {
            return .welcome(try Wire.decode(WelcomeBody.self, from: bytes).welcome._0)
        }
        return try Wire.decode(Reply.self, from: bytes)
    }
}
