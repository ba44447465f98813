import BasculeCrypto
import BasculeModel

/// What the apps of this node threw, grouped and bounded; one file.
struct ErrorBook: Codable {
    /// Where the reading of the journal goes on.
    var cursor: String?
    /// Errors by app, ever.
    var totals: [String: Int] = [:]
    var groups: [ErrorGroup] = []

    /// Groups that are remembered; the ones not seen for longest are forgotten first.
    static let limit = 300
    /// Groups that one answer holds.
    static let answered = 200
    private static let sampleLimit = 4000

    static func path(_ paths: AgentPaths) -> String { "\(paths.errors)/errors.json" }

    static func load(_ paths: AgentPaths) throws -> ErrorBook {
        try DurableFile.load(ErrorBook.self, from: path(paths)) ?? ErrorBook()
    }

    /// Newest first.
    static func groups(_ paths: AgentPaths, app: String?, since: Double) throws -> [ErrorGroup] {
        let known = try load(paths).groups.filter { (app == nil || $0.app == app) && $0.last >= since }
        return Array(known.sorted { ($0.last, $0.fingerprint) > ($1.last, $1.fingerprint) }.prefix(answered))
    }

    mutating func add(_ error: FoundError, secrets: [String]) {
        totals[error.app, default: 0] += 1
        let message = ErrorText.normalised(error.message)
        let frames = ErrorFrame.telling(error.frames)
        let sample = String(
            ErrorText.redacted(
                String(error.lines.joined(separator: "\n").prefix(2 * Self.sampleLimit)), secrets: secrets
            ).prefix(Self.sampleLimit))
        let key = ([error.app, error.type, message] + frames.prefix(3)).joined(separator: "\n")
        let fingerprint = String(Digest(of: Array(key.utf8)).rawValue.prefix(12))
        if let index = groups.firstIndex(where: { $0.fingerprint == fingerprint }) {
            groups[index].count += 1
            groups[index].last = max(groups[index].last, error.time)
            groups[index].sample = sample
            return
        }
        groups.append(
            ErrorGroup(
                fingerprint: fingerprint, app: error.app, type: String(error.type.prefix(80)),
                message: ErrorText.redacted(message, secrets: secrets), frames: frames, count: 1, first: error.time,
                last: error.time, sample: sample))
        if groups.count > Self.limit {
            groups.sort { ($0.last, $0.fingerprint) > ($1.last, $1.fingerprint) }
            groups.removeLast(groups.count - Self.limit)
        }
    }

    /// For node_exporter. A metric holds no message: what an app says is a stranger's text.
    /// - Parameter apps: those that are watched, so that one without errors counts 0.
    func metrics(_ apps: [String], now: Double) -> String {
        var text = MetricText()
        text.begin("bascule_errors_total", "counter", "Errors in an app's journal.")
        for app in apps { text.add(Double(totals[app] ?? 0), ["app": app]) }
        text.begin("bascule_error_groups", "gauge", "Different errors of an app that are remembered.")
        for app in apps { text.add(Double(groups.count { $0.app == app }), ["app": app]) }
        let newest = groups.filter { apps.contains($0.app) }
            .sorted { ($0.last, $0.fingerprint) > ($1.last, $1.fingerprint) }.prefix(Self.answered)
        func labels(_ group: ErrorGroup) -> [String: String] {
            ["app": group.app, "fingerprint": group.fingerprint, "type": group.type]
        }
        text.begin("bascule_error_group_total", "counter", "Errors of one group.")
        for group in newest { text.add(Double(group.count), labels(group)) }
        text.begin("bascule_error_first_seen_timestamp_seconds", "gauge", "When a group was first seen.")
        for group in newest { text.add(group.first, labels(group)) }
        text.begin("bascule_errors_collected_timestamp_seconds", "gauge", "When the journal was last read to its end.")
        text.add(now)
        return text.text
    }
}

/// Metrics as node_exporter reads them from files.
struct MetricText {
    private(set) var text = ""
    private var name = ""

    mutating func begin(_ name: String, _ type: String, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func add(_ value: Double, _ labels: [String: String] = [:]) {
        let list = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.plain($0.value))\"" }
        text += list.isEmpty ? name : "\(name){\(list.joined(separator: ","))}"
        text += " \(value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)")\n"
    }

    /// A label's value of letters, digits and a few signs: nothing in it needs escaping anywhere.
    private static func plain(_ value: String) -> String {
        String(
            value.unicodeScalars.prefix(80).map { scalar in
                let isPlain =
                    ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
                    || "_.-$".unicodeScalars.contains(scalar)
                return isPlain ? Character(scalar) : "_"
            })
    }
}
