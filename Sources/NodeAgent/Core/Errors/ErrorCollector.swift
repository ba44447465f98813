import BasculeModel
import BasculeResources
import FoundationEssentials
import Glibc

/// Reads what the apps wrote into the journal since the last time: a process of its own, started by a timer, so that
/// the agent itself neither reads nor keeps any of it.
struct ErrorCollector {
    let paths: AgentPaths
    let apps: [String]

    /// Bytes of the journal that are read at a time; the rest comes next time.
    private static let limit = 8 << 20
    /// Seconds for which the newest lines are left for the next time: the rest of a stack trace may be on its way.
    private static let settle = 2.0
    /// How far back the first reading goes.
    private static let begin = "-1h"

    func run() throws {
        try DurableFile.makeDirectory(paths.errors)
        var book = try ErrorBook.load(paths)
        let now = WallClock.now()
        let lines = try journal(after: book.cursor)
        var reader = ErrorReader()
        let known = secrets()
        var cursor = book.cursor
        for raw in lines {
            guard let entry = try? JSONDecoder().decode(Entry.self, from: Data(raw.utf8)) else { continue }
            if entry.time > now - Self.settle { break }
            cursor = entry.cursor
            guard let app = Self.app(of: entry.unit), apps.contains(app) else { continue }
            let line = AppLine(
                time: entry.time, app: app, process: "\(entry.unit) \(entry.process)", priority: entry.priority,
                text: entry.message)
            for error in reader.take(line) { book.add(error, secrets: known[app] ?? []) }
        }
        for error in reader.end() { book.add(error, secrets: known[error.app] ?? []) }
        if cursor != book.cursor {
            book.cursor = cursor
            try DurableFile.save(book, to: ErrorBook.path(paths))
        }
        guard let folder = paths.metrics, access(folder, W_OK) == 0 else { return }
        try DurableFile.write(
            Array(book.metrics(apps, now: now).utf8), to: "\(folder)/bascule-errors.prom", mode: 0o644)
    }

    private func journal(after cursor: String?) throws -> [Substring] {
        var options = Subprocess.Options(deadline: .seconds(60))
        options.limit = Self.limit
        let words =
            [
                "journalctl", "--quiet", "--no-pager", "--output=json",
                "--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,_PID",
            ] + apps.map { "--unit=bascule-\($0)@*.service" }
        var outcome = try Subprocess.run(
            words + [cursor.map { "--after-cursor=\($0)" } ?? "--since=\(Self.begin)"], options)
        if outcome.status != 0, cursor != nil {
            // The journal was vacuumed past the cursor.
            outcome = try Subprocess.run(words + ["--since=\(Self.begin)"], options)
        }
        guard outcome.status == 0 else {
            throw BasculeError(.commandFailed, "the journal could not be read", cause: outcome.cause())
        }
        let lines = outcome.text.split(separator: "\n")
        // A line that the limit cut is read whole the next time.
        return outcome.stdout.count >= Self.limit ? lines.dropLast() : lines
    }

    /// `bascule-shop@3000.service` is of `shop`.
    static func app(of unit: String) -> String? {
        guard unit.hasPrefix("bascule-"), let at = unit.firstIndex(of: "@") else { return nil }
        return String(unit[..<at].dropFirst(8))
    }

    /// The secrets that each app's environment holds.
    private func secrets() -> [String: [String]] {
        var known: [String: [String]] = [:]
        for app in apps {
            guard let bytes = try? DurableFile.read("/srv/apps/\(app)/current/env") else { continue }
            known[app] = String(decoding: bytes.prefix(1 << 20), as: UTF8.self).split(separator: "\n")
                .compactMap { Self.secret(in: $0) }.sorted { $0.count > $1.count }
        }
        return known
    }

    /// A URL's password, or a value that looks made rather than chosen.
    static func secret(in line: Substring) -> String? {
        guard let equals = line.firstIndex(of: "=") else { return nil }
        let value = line[line.index(after: equals)...].drop { $0 == "\"" }.prefix { $0 != "\"" }
        if let scheme = value.firstRange(of: "://") {
            let rest = value[scheme.upperBound...]
            guard let at = rest.lastIndex(of: "@"), let colon = rest[..<at].firstIndex(of: ":") else { return nil }
            let password = rest[rest.index(after: colon)..<at]
            return password.count >= 6 ? String(password) : nil
        }
        let hasBoth = value.contains(where: \.isNumber) && value.contains(where: \.isLetter)
        return value.count >= 12 && hasBoth && !value.contains("/") && !value.contains(" ") ? String(value) : nil
    }

    /// One line of `journalctl --output=json`.
    struct Entry: Decodable {
        var cursor: String
        var time: Double
        var unit: String
        var process: String
        var priority: Int
        var message: String

        private enum Key: String, CodingKey {
            case cursor = "__CURSOR"
            case time = "__REALTIME_TIMESTAMP"
            case unit = "_SYSTEMD_UNIT"
            case process = "_PID"
            case priority = "PRIORITY"
            case message = "MESSAGE"
        }

        init(from decoder: any Decoder) throws {
            let box = try decoder.container(keyedBy: Key.self)
            cursor = try box.decode(String.self, forKey: .cursor)
            time = (Double(try box.decode(String.self, forKey: .time)) ?? 0) / 1e6
            unit = ((try? box.decodeIfPresent(String.self, forKey: .unit)) ?? nil) ?? ""
            process = ((try? box.decodeIfPresent(String.self, forKey: .process)) ?? nil) ?? ""
            priority = ((try? box.decodeIfPresent(String.self, forKey: .priority)) ?? nil).flatMap { Int($0) } ?? 6
            if let text = (try? box.decodeIfPresent(String.self, forKey: .message)) ?? nil {
                message = text
            } else {
                // What is not UTF-8 comes as numbers; what is too long as null.
                let bytes = ((try? box.decodeIfPresent([UInt8].self, forKey: .message)) ?? nil) ?? []
                message = String(decoding: bytes, as: UTF8.self)
            }
        }
    }
}
