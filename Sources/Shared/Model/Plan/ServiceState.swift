/// What a node's probe of a service was told when somebody asked for the node's status.
package struct ServiceState: Hashable, Codable, Sendable {
    /// The probe's name, e.g. `redis.cache`.
    package var name: String
    package var serves: Bool
    /// Why it does not serve, or what it answered; for people, bounded.
    package var detail: String

    package init(_ name: String, serves: Bool, detail: String) {
        (self.name, self.serves, self.detail) = (name, serves, detail)
    }
}
