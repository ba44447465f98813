import BasculeCrypto
import BasculeModel

extension Observation {
    /// An observation with its digest: SHA-256 over the canonical JSON. A preview text is left out, its digest is in.
    package static func make(_ id: ResourceID, _ observed: Observed) -> Observation {
        var plain = observed
        switch observed {
        case .file(var seen):
            seen.text = nil
            plain = .file(seen)
        case .firewall(var seen):
            seen.text = nil
            plain = .firewall(seen)
        case .probe(var seen):
            seen.detail = ""
            plain = .probe(seen)
        default: break
        }
        // Every kind encodes; were one ever not to, its reason still tells two states apart.
        let bytes = (try? StateFile.canonical(plain)) ?? Array("\(plain)".utf8)
        return Observation(id: id, observed: observed, digest: Digest(of: bytes))
    }
}
