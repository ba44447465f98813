import BasculeModel
import BasculeProtocol
import Foundation

/// What a CI system holds: the private half of a token's key, and whom to trust when it is used.
package struct TokenFile: Hashable, Codable, Sendable {
    /// A node that the app runs on.
    package struct Node: Hashable, Codable, Sendable {
        package var name: NodeName
        package var host: String
        package var port: Int
        /// `TYPE BASE64`; no other host key is accepted.
        package var hostKeys: [String]

        package init(name: NodeName, host: String, port: Int, hostKeys: [String]) {
            (self.name, self.host, self.port, self.hostKeys) = (name, host, port, hostKeys)
        }
    }

    /// Of this format.
    package var version: Int
    package var fleet: String
    package var token: String
    package var app: String
    /// OpenSSH's text of an Ed25519 key.
    package var key: String
    package var nodes: [Node]

    package init(fleet: String, token: String, app: String, key: String, nodes: [Node]) {
        (version, self.fleet, self.token, self.app, self.key, self.nodes) = (1, fleet, token, app, key, nodes)
    }

    /// The file's bytes.
    package func encoded() throws -> [UInt8] { try Wire.encode(self) + [0x0A] }

    /// Reads what `encoded` gave. Throws `invalid-input`; the error says nothing of the content.
    package init(parsing bytes: [UInt8], path: String) throws {
        func refuse(_ why: String) -> BasculeError {
            BasculeError(
                .invalidInput, "this is not a token file: \(why)", at: .thing(path),
                hint: "bascule token create NAME --app APP makes one")
        }
        guard bytes.count <= 1 << 20, let file = try? JSONDecoder().decode(TokenFile.self, from: Data(bytes)) else {
            throw refuse("it cannot be read")
        }
        guard file.version == 1 else { throw refuse("its version is \(file.version)") }
        guard TokenRules.isName(file.token), TokenRules.isName(file.app) else { throw refuse("its names are wrong") }
        guard file.key.contains("-----BEGIN OPENSSH PRIVATE KEY-----") else { throw refuse("it has no key") }
        guard !file.nodes.isEmpty else { throw refuse("it names no node") }
        for node in file.nodes {
            guard !node.host.isEmpty, (1...65_535).contains(node.port) else { throw refuse("an address is wrong") }
            guard !node.hostKeys.isEmpty, node.hostKeys.allSatisfy({ (try? SSHHostKey(line: $0)) != nil }) else {
                throw refuse("the node \(node.name) has no host key")
            }
        }
        self = file
    }
}

/// A token as the store remembers it; never its private half.
package struct TokenRecord: Hashable, Codable, Sendable {
    package var name: String
    package var app: String
    /// Nodes that let it in, or may.
    package var nodes: [NodeName]
    /// Seconds since 1970.
    package var created: Double
    /// The public line.
    package var publicLine: String
}
