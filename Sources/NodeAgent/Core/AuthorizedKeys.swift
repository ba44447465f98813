import BasculeModel
import Glibc

/// The keys that may log in as the agent's user, each with a forced command and nothing else.
enum AuthorizedKeys {
    /// Root owns it, so that the account itself cannot add to it.
    static let path = "/etc/bascule/authorized_keys"

    /// Lets the controller's key in, and no other of a controller's.
    static func admitController(_ publicKey: String) throws { try settle(current: publicKey, pending: nil, at: path) }

    /// Brings the controller's lines to what the pin says, in one rename.
    /// - Parameters:
    ///   - current: the key of the controller that is obeyed; nil leaves who is in.
    ///   - pending: the key of a rotation that is under way; nil lets none in.
    static func settle(current: String?, pending: String?, at path: String) throws {
        let before = try lines(path)
        let after = try settled(before, current: current, pending: pending)
        if before != after { try save(after, to: path) }
    }

    /// The lines as they should be. A key that is replaced is from then on only told that it was replaced.
    static func settled(_ before: [String], current: String?, pending: String?) throws -> [String] {
        var lines = before.filter { !$0.hasSuffix(" bascule:pending") }
        if let current {
            let own = try line(current, command: "\(AgentPaths.program) connect", purpose: "controller")
            let word = current.split(separator: " ").dropFirst().first.map(String.init) ?? ""
            let others = lines.filter { !$0.contains(" \(word) ") }
            let replaced = others.filter { $0.hasSuffix(" bascule:controller") }.map {
                let key = $0.split(separator: " ").suffix(3).prefix(2).joined(separator: " ")
                return "restrict,command=\"exec \(AgentPaths.program) refuse\" \(key) bascule:replaced"
            }
            let former = others.filter { $0.hasSuffix(" bascule:replaced") } + replaced
            lines =
                lines.filter { !$0.hasSuffix(" bascule:controller") && !$0.hasSuffix(" bascule:replaced") }
                + former.suffix(4) + [own]
        }
        if let pending {
            lines.append(try line(pending, command: "\(AgentPaths.program) connect pending", purpose: "pending"))
        }
        return lines
    }

    /// The forced command tells the agent which key logged in. `exec`, as a shell that waits is a process too many.
    private static func line(_ publicKey: String, command: String, purpose: String) throws -> String {
        let words = publicKey.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("ssh-") || words[0].hasPrefix("ecdsa-"), !publicKey.contains("\n"),
            !publicKey.contains("\""), !command.contains("\"")
        else { throw BasculeError(.invalidInput, "this is not a public key line") }
        return "restrict,command=\"exec \(command)\" \(words[0]) \(words[1]) bascule:\(purpose)"
    }

    /// Locks out all keys whose purpose begins so.
    static func removeAll(beginning purpose: String) throws {
        try save(try lines(path).filter { !$0.contains(" bascule:\(purpose)") }, to: path)
    }

    /// Lets a key in for one command. A key of the same purpose is replaced.
    static func admit(_ publicKey: String, command: String, purpose: String) throws {
        let line = try line(publicKey, command: command, purpose: purpose)
        try save(try lines(path).filter { !$0.hasSuffix(" bascule:\(purpose)") } + [line], to: path)
    }

    /// Locks out the key of a purpose.
    static func remove(purpose: String) throws {
        try save(try lines(path).filter { !$0.hasSuffix(" bascule:\(purpose)") }, to: path)
    }

    private static func lines(_ path: String) throws -> [String] {
        String(decoding: try DurableFile.read(path) ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func save(_ lines: [String], to path: String) throws {
        if path == Self.path { try DurableFile.makeDirectory("/etc/bascule", mode: 0o755) }
        try DurableFile.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: path, mode: 0o644)
    }
}
