import BasculeFleet
import BasculeModel

/// What a name server's answer is worth.
package enum MailVerdict: Sendable, Hashable {
    case right
    case missing
    /// What is wrong with it, for people.
    case wrong(String)
}

extension MailRecord {
    /// Judges what one server answers.
    /// - Parameter found: the set, as a zone file has it; TXT joined to one piece each.
    package func verdict(_ found: [String]) -> MailVerdict {
        switch kind {
        case .address, .reverse:
            if found.isEmpty { return .missing }
            if Set(found.map { $0.lowercased() }) == [value] { return .right }
            return .wrong("it is \(found.sorted().joined(separator: ", "))")
        case .spf, .helo: return spf(found)
        case .dkim: return dkim(found)
        case .dmarc: return dmarc(found)
        case .reports: return found.contains { $0.hasPrefix("v=DMARC1") } ? .right : .missing
        case .mx:
            if found.isEmpty { return .missing }
            let host = value.split(separator: " ").last.map(String.init)
            if host == nil || found.contains(where: { $0.split(separator: " ").last.map(String.init) == host }) {
                return .right
            }
            return .wrong("it is \(found.sorted().joined(separator: ", "))")
        }
    }

    private func spf(_ found: [String]) -> MailVerdict {
        let records = found.filter(SPF.isRecord)
        guard let record = records.first else { return .missing }
        if records.count > 1 { return .wrong("there are \(records.count) SPF records: receivers take none of them") }
        let terms = SPF.terms(record)
        let absent = SPF.terms(value).filter { !SPF.isAll($0) && !terms.contains($0) }
        if !absent.isEmpty { return .wrong("it lacks \(absent.joined(separator: ", "))") }
        guard let end = terms.last(where: SPF.isAll) else { return .wrong("it does not end with -all or ~all") }
        if end != "-all", end != "~all" { return .wrong("its \(end) lets anybody send") }
        let lookups = terms.filter(SPF.costsLookup).count
        return lookups > 10 ? .wrong("it needs \(lookups) look-ups, and receivers stop after 10") : .right
    }

    private func dkim(_ found: [String]) -> MailVerdict {
        guard let record = found.first(where: { MailTags($0)["p"] != nil }) else { return .missing }
        if found.count > 1 { return .wrong("there are \(found.count) records at this name") }
        let (tags, wanted) = (MailTags(record), MailTags(value))
        if tags["p"] == "" { return .wrong("the key is revoked") }
        if tags["p"] != wanted["p"] { return .wrong("it is another key") }
        if tags["t"]?.contains("y") == true { return .wrong("it says that this is only a test (t=y)") }
        return .right
    }

    private func dmarc(_ found: [String]) -> MailVerdict {
        let records = found.filter { $0.hasPrefix("v=DMARC1") }
        guard let record = records.first else { return .missing }
        if records.count > 1 { return .wrong("there are \(records.count) DMARC records: receivers take none of them") }
        let order = Mail.Policy.allCases.map(\.rawValue)
        guard let policy = MailTags(record)["p"].flatMap(order.firstIndex),
            let wanted = MailTags(value)["p"].flatMap(order.firstIndex)
        else { return .wrong("it has no policy (p=)") }
        return policy < wanted ? .wrong("its policy is only \(order[policy])") : .right
    }

    /// The record with what is to be written over what was found: an SPF record keeps whom it lets send.
    package func over(_ found: [String]) -> MailRecord {
        var copy = self
        if kind == .spf || kind == .helo { copy.value = SPF.merged(value, with: found.filter(SPF.isRecord)) }
        return copy
    }

    /// What the set of TXT records at this name becomes: ours, and everything that is not of its kind. An SPF record
    /// keeps whom it lets send already, because the old sender goes on until the new one is warm.
    package func published(over found: [String]) -> [String] {
        switch kind {
        case .spf, .helo:
            return found.filter { !SPF.isRecord($0) } + [over(found).value]
        case .dmarc: return found.filter { !$0.hasPrefix("v=DMARC1") } + [value]
        default: return [value]
        }
    }
}

/// Terms of an SPF record.
enum SPF {
    static func isRecord(_ text: String) -> Bool {
        text.lowercased() == "v=spf1" || text.lowercased().hasPrefix("v=spf1 ")
    }

    /// Without the version, in lower case; `+a` is `a`.
    static func terms(_ text: String) -> [String] {
        text.lowercased().split(separator: " ").dropFirst().map { String($0.hasPrefix("+") ? $0.dropFirst() : $0) }
    }

    static func isAll(_ term: String) -> Bool { term == "all" || term.dropFirst() == "all" }

    static func costsLookup(_ term: String) -> Bool {
        let word = term.drop { "-~?".contains($0) }.prefix { $0 != ":" && $0 != "/" && $0 != "=" }
        return ["include", "a", "mx", "ptr", "exists", "redirect"].contains(word)
    }

    /// One record that lets everybody send whom the given ones do.
    static func merged(_ record: String, with known: [String]) -> String {
        var senders = terms(record).filter { !isAll($0) }
        for term in known.flatMap(terms) where !isAll(term) && !senders.contains(term) { senders.append(term) }
        return (["v=spf1"] + senders + ["-all"]).joined(separator: " ")
    }
}

/// `v=DKIM1; k=rsa; p=…` by tag, values without white space.
struct MailTags {
    private var values: [String: String] = [:]

    init(_ text: String) {
        for part in text.split(separator: ";") {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { continue }
            values[sides[0].filter { $0 != " " && $0 != "\t" }] = sides[1].filter { $0 != " " && $0 != "\t" }
        }
    }

    subscript(tag: String) -> String? { values[tag] }
}
