import BasculeModel
import Glibc

/// The keys that may log in as the agent's user, each with a forced command and nothing else.
enum AuthorizedKeys {
    /// Root owns it, so that the account itself cannot add to it.
    static let path = "/etc/bascule/authorized_keys"

    /// Lets the controller's key in. One that it replaces is from then on only told that it was replaced.
    static func admitController(_ publicKey: String) throws {
        let before = try lines()
        let word = publicKey.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let replaced = before.filter { $0.hasSuffix(" bascule:controller") && !$0.contains(" \(word) ") }.map {
            let key = $0.split(separator: " ").suffix(3).prefix(2).joined(separator: " ")
            return "restrict,command=\"\(AgentPaths.program) refuse\" \(key) bascule:replaced"
        }
        let former = before.filter { $0.hasSuffix(" bascule:replaced") && !$0.contains(" \(word) ") } + replaced
        try save(before.filter { !$0.hasSuffix(" bascule:replaced") } + former.suffix(4))
        try admit(publicKey, command: "\(AgentPaths.program) connect", purpose: "controller")
    }

    /// Locks out all keys whose purpose begins so.
    static func removeAll(beginning purpose: String) throws {
        try save(try lines().filter { !$0.contains(" bascule:\(purpose)") })
    }

    /// Lets a key in for one command. A key of the same purpose is replaced.
    static func admit(_ publicKey: String, command: String, purpose: String) throws {
        let words = publicKey.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("ssh-") || words[0].hasPrefix("ecdsa-"), !publicKey.contains("\n"),
            !command.contains("\"")
        else { throw BasculeError(.invalidInput, "this is not a public key line") }
        let line = "restrict,command=\"\(command)\" \(words[0]) \(words[1]) bascule:\(purpose)"
        try save(try lines().filter { !$0.hasSuffix(" bascule:\(purpose)") } + [line])
    }

    /// Locks out the key of a purpose.
    static func remove(purpose: String) throws { try save(try lines().filter { !$0.hasSuffix(" bascule:\(purpose)") }) }

    private static func lines() throws -> [String] {
        String(decoding: try DurableFile.read(path) ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func save(_ lines: [String]) throws {
        try DurableFile.makeDirectory("/etc/bascule", mode: 0o755)
        try DurableFile.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: path, mode: 0o644)
    }
}
