import BasculeModel
import Foundation

/// The exact public key of a host.
package struct HostKey: Hashable, Codable, Sendable {
    /// Such as `ssh-ed25519`.
    package let type: String
    /// The key in SSH's wire format, base64: the second word of a public key line.
    package let blob: String

    /// A key as the server presented it; nil when the bytes name no type.
    package init?(wire: [UInt8]) {
        var reader = WireReader(wire)
        guard let type = reader.text(), !type.isEmpty, type.count <= 64,
            type.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        self.type = type
        blob = Data(wire).base64EncodedString()
    }

    /// From a public key line, `TYPE BASE64 [COMMENT]`, as in a `.pub` file or the fleet file's `hostKey:`.
    /// Throws `invalid-input` when the line is not one.
    package init(line: String) throws(BasculeError) {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let data = Data(base64Encoded: String(words[1])), let key = HostKey(wire: Array(data)),
            key.type == words[0]
        else {
            throw BasculeError(
                .invalidInput, "not a public key line",
                hint: "give the type and the base64 text, such as: ssh-ed25519 AAAA…")
        }
        self = key
    }

    /// `SHA256:…` without padding, as `ssh-keygen -l` prints it.
    package var fingerprint: String {
        let digest = SHA256.hash(Array(Data(base64Encoded: blob) ?? Data()))
        return "SHA256:" + Data(digest).base64EncodedString().filter { $0 != "=" }
    }

    /// The line that `init(line:)` reads.
    package var line: String { "\(type) \(blob)" }
}

extension HostKey: CustomStringConvertible {
    /// `TYPE FINGERPRINT`, for people.
    package var description: String { "\(type) \(fingerprint)" }
}

/// What a presented key means, given what is known. Pure.
package enum HostKeyDecision: Equatable, Sendable {
    /// It is pinned and not revoked.
    case trusted
    /// Nothing is pinned for this host.
    case unknown
    /// Another key of the same type is pinned.
    case changed(expected: [HostKey])
    /// Only keys of other types are pinned.
    case changedType(expected: [HostKey])
    /// It is in the list of revoked keys, pinned or not.
    case revoked

    /// Revocation wins over a pin. A host may have several pins (several types, or a rotation under way).
    package static func decide(presented: HostKey, pins: [HostKey], revoked: [HostKey]) -> HostKeyDecision {
        if revoked.contains(presented) { return .revoked }
        if pins.isEmpty { return .unknown }
        if pins.contains(presented) { return .trusted }
        let sameType = pins.filter { $0.type == presented.type }
        return sameType.isEmpty ? .changedType(expected: pins) : .changed(expected: sameType)
    }

    static func list(_ keys: [HostKey]) -> String { keys.map(\.description).joined(separator: " or ") }
}

/// Whom to trust, decided before anything that authenticates is sent.
package struct HostKeyPolicy: Sendable {
    /// What happens when nothing is pinned for the host.
    package enum Unknown: Sendable {
        /// The connection fails with `ssh-host-key-unknown`.
        case refuse
        /// Accepted if this is its fingerprint (`SHA256:…`).
        case accept(fingerprint: String)
        /// Somebody is asked. The connection is closed meanwhile, so the answer may take as long as it takes.
        case ask(@Sendable (HostKey) async -> Bool)
    }
    /// The keys that the host may present.
    package var pins: [HostKey]
    /// Keys that no host may present any more.
    package var revoked: [HostKey]
    /// Asked only when `pins` is empty.
    package var unknown: Unknown

    /// With pins, what is unknown is never asked about: it has changed.
    package init(pins: [HostKey], revoked: [HostKey] = [], unknown: Unknown = .refuse) {
        self.pins = pins
        self.revoked = revoked
        self.unknown = unknown
    }

    /// Only these keys.
    package static func pinned(_ keys: [HostKey], revoked: [HostKey] = []) -> HostKeyPolicy {
        HostKeyPolicy(pins: keys, revoked: revoked)
    }

    /// Nothing is known yet: ask.
    package static func firstContact(
        revoked: [HostKey] = [], ask: @escaping @Sendable (HostKey) async -> Bool
    ) -> HostKeyPolicy {
        HostKeyPolicy(pins: [], revoked: revoked, unknown: .ask(ask))
    }

    /// Nothing is known yet, but the fingerprint is: `SHA256:…`.
    package static func accept(_ fingerprint: String, revoked: [HostKey] = []) -> HostKeyPolicy {
        HostKeyPolicy(pins: [], revoked: revoked, unknown: .accept(fingerprint: fingerprint))
    }
}
