/// What a file or a value holds. Secrets stand in it as typed placeholders, filled on the agent only.
package enum Content: Hashable, Codable, Sendable {
    /// Text made of literal parts and placeholders, in order.
    case parts([Part])
    /// Bytes that were uploaded beforehand, by the SHA-256 of their content; `size` in bytes.
    case blob(Digest, size: Int)

    /// One stretch of a text.
    package enum Part: Hashable, Codable, Sendable {
        case text(String)
        case secret(SecretName)
    }

    /// Literal text.
    package init(_ text: String) { self = .parts([.text(text)]) }
}

extension Content: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self.init(value) }
}

extension Content {
    /// The secrets that must be known to fill this content.
    package var secrets: Set<SecretName> {
        guard case .parts(let parts) = self else { return [] }
        return Set(parts.compactMap { if case .secret(let name) = $0 { name } else { nil } })
    }

    /// How a person sees it: placeholders as `‹secret NAME›`, uploaded bytes as their digest.
    package var display: String {
        switch self {
        case .parts(let parts):
            parts.map {
                switch $0 {
                case .text(let text): text
                case .secret(let name): "‹secret \(name)›"
                }
            }.joined()
        case .blob(let digest, let size): "‹\(size) bytes, sha256 \(digest.rawValue.prefix(12))›"
        }
    }

    /// The bytes with every placeholder filled; nil for uploaded content, which the agent reads from its blob store.
    package func filled(_ resolve: (SecretName) throws -> Secret) rethrows -> [UInt8]? {
        guard case .parts(let parts) = self else { return nil }
        var out: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let text): out.append(contentsOf: text.utf8)
            case .secret(let name): out.append(contentsOf: try resolve(name).revealBytes())
            }
        }
        return out
    }

    package static func + (left: Content, right: Content) -> Content {
        guard case .parts(let first) = left, case .parts(let second) = right else { return left }
        return .parts(first + second)
    }
}

/// Whether a thing is to be there.
package enum Presence: String, Hashable, Codable, Sendable {
    case present
    case absent
}

/// Owner, group and mode of a path.
package struct Permissions: Hashable, Codable, Sendable {
    package var owner: String
    package var group: String
    /// The twelve permission bits, e.g. 0o644.
    package var mode: Int

    package init(owner: String = "root", group: String = "root", mode: Int) {
        (self.owner, self.group, self.mode) = (owner, group, mode)
    }
}

extension Int {
    /// A file mode as four octal digits, e.g. `0644`.
    package var octalMode: String {
        let digits = String(self, radix: 8)
        return String(repeating: "0", count: Swift.max(0, 4 - digits.count)) + digits
    }
}
