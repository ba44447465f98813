import BasculeCrypto
import BasculeModel

extension Observation {
    /// An observation with its digest: SHA-256 over the canonical JSON. A preview text is left out, its digest is in; what
    /// other steps change by the way is left out, too.
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
        case .unit(var seen):
            // Any other unit's step has systemd read all of them again: that changes what it knows, not what is there.
            (seen.needsDaemonReload, seen.load) = (false, "")
            plain = .unit(seen)
        default: break
        }
        // Every kind encodes; were one ever not to, its reason still tells two states apart.
        let bytes = (try? StateFile.canonical(plain)) ?? Array("\(plain)".utf8)
        return Observation(id: id, observed: observed, digest: Digest(of: bytes))
    }
}
