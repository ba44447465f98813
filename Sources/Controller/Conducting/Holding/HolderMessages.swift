import BasculeModel

/// An agent's door, as the connection holder knows it. Only a connection that is equal in all of these is lent.
struct HeldAddress: Hashable, Codable, Sendable {
    var host: String
    var port: UInt16
    var user: String
}

/// What a command asks of the connection holder; one request a connection, in the agents' own framing.
enum HolderRequest: Codable, Sendable {
    /// A fresh channel to an agent; after the reply the connection carries the agent's bytes.
    case channel(HeldAddress)
    /// Connect to these and keep the connections.
    case hold(HolderOrder)
    /// End.
    case end
}

enum HolderReply: Codable, Sendable {
    /// A channel; the host presented this key (a line of type and base64) when the connection was made.
    case lent(hostKey: String)
    /// No connection to that agent is held.
    case none
    case accepted
}

/// Connections to keep. The key is used to log in, then forgotten.
struct HolderOrder: Codable, Sendable {
    struct Entry: Codable, Sendable {
        var address: HeldAddress
        /// The host's pinned keys, each a line.
        var hostKeys: [String]
    }

    var entries: [Entry]
    /// The fleet's private key, as OpenSSH writes it.
    var key: String
}
