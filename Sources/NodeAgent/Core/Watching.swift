import BasculeModel
import BasculeNet
import FoundationEssentials
import Glibc

extension SegmentPerformer {
    /// Watches the declared criteria for the declared time; what trips one is told and never undone silently: after T0
    /// new writes may exist.
    func watch(_ criteria: WatchCriteria, _ step: Step) async throws -> StepResult {
        let services = services
        let end = WallClock.monotonic() + criteria.duration
        let tail = AccessLogTail(path: criteria.accessLog, loginPath: criteria.loginPath)
        var (journeys, failed) = (0, 0)
        var nextJourney = 0.0
        var tripped: String?
        while WallClock.monotonic() < end, tripped == nil, !control.isCancelled {
            tail.read()
            if let journey = criteria.journey, WallClock.monotonic() >= nextJourney {
                nextJourney = WallClock.monotonic() + max(2, criteria.duration / 20)
                journeys += 1
                let result = try await JourneyProbe.run(journey, services: services)
                if !result.ok { failed += 1 }
                // One failed walk may be an accident; two are the system's.
                if failed >= 2 { tripped = "the journey \(journey.journey.name) failed twice: \(result.line)" }
            }
            tripped = tripped ?? tail.tally.trip(criteria)
            let left = Int(end - WallClock.monotonic())
            progress(
                step,
                "\(tail.tally.requests) requests, \(tail.tally.serverErrors) server errors, \(tail.tally.users.count) users, \(max(0, left)) s left",
                1 - Double(left) / max(1, criteria.duration))
            try? await Task.sleep(for: .milliseconds(500))
        }
        if tripped == nil, criteria.dataLoss, let move = criteria.database {
            tripped = try await lostRows(move, step)
        }
        let tally = tail.tally
        let report = WatchReport(
            requests: tally.requests, serverErrors: tally.serverErrors, users: tally.users.count,
            usersUnableToLogIn: tally.usersOnlyFailing,
            journeys: journeys, journeysFailed: failed, tripped: tripped)
        let said =
            "\(tally.requests) requests, \(tally.serverErrors) server errors, \(tally.usersOnlyFailing) of \(tally.users.count) users unable to log in, \(journeys - failed) of \(journeys) journeys"
        let proof = evidence(
            "watch", tripped ?? said, threshold: "the declared criteria", passed: tripped == nil,
            measure: Double(tally.requests), unit: "requests")
        guard let tripped else { return StepResult(.done, said, evidence: [proof], output: .watch(report)) }
        let error = BasculeError(
            .watchTripped, "a criterion of the watch tripped: \(tripped)",
            hint:
                "the new system goes on serving, because new writes exist on it; bascule rollback says what going back would lose"
        )
        return StepResult(.failed, tripped, error: error, evidence: [proof], output: .watch(report))
    }

    /// Every table must still hold at least the rows of the fenced source, deletions by customers accounted for.
    private func lostRows(_ move: PostgresMove, _ step: Step) async throws -> String? {
        // By table, as the source's last reading found them: a PostgreSQL sync, or the comparison of a MySQL source.
        let fenced: [(table: String, rows: Int64)] = outputs.withLock { known in
            known.values.flatMap { output -> [(String, Int64)] in
                switch output {
                case .data(.postgres(.synced(let sync))): sync.source.tables.map { ($0.table, $0.rows) }
                case .data(.mysql(let report)):
                    report.tables.filter { $0.targetRows != nil }.map { ($0.target, $0.rows) }
                default: []
                }
            }
        }
        guard !fenced.isEmpty else { return nil }
        let rows = try await Blocking.run { try RowCounts.read(move) }
        for (table, before) in fenced {
            guard let now = rows[table] else { continue }
            if now.rows + now.deleted < before {
                return "\(table) has \(now.rows) rows and \(now.deleted) deletions, the source had \(before)"
            }
        }
        return nil
    }
}

extension ErrorCode {
    /// A declared criterion of the watch tripped.
    package static let watchTripped: ErrorCode = "watch-tripped"
}

/// What the access log said since T0. Pure.
struct AccessTally {
    /// One line of the site's JSON access log; the names are those of the catalogue's `log_format`.
    struct Line: Decodable {
        var status: Int
        var method: String
        var path: String
        var client: String
        /// The app's own word for who logs in (a hash, header `X-Login-User`), where it says so.
        var user: String?
        /// Set on the maintenance page's 503.
        var maintenance: String?
    }

    var requests = 0
    var serverErrors = 0
    /// By user: whether a login ever succeeded.
    var users: [String: Bool] = [:]

    mutating func add(_ line: Line, loginPath: String?) {
        requests += 1
        let isMaintenance = line.status == 503 && line.maintenance == "1"
        if line.status >= 500, !isMaintenance { serverErrors += 1 }
        guard let loginPath, line.path == loginPath, line.method == "POST", !isMaintenance else { return }
        let user = line.user.flatMap { $0.isEmpty || $0 == "-" ? nil : $0 } ?? line.client
        let succeeded = (200..<400).contains(line.status)
        users[user] = (users[user] ?? false) || succeeded
    }

    var usersOnlyFailing: Int { users.values.count { !$0 } }

    /// The criterion that trips, nil where all is well.
    func trip(_ criteria: WatchCriteria) -> String? {
        if let limit = criteria.serverErrors, requests >= 20, Double(serverErrors) > limit * Double(requests) {
            return "\(serverErrors) of \(requests) answers were server errors"
        }
        if let limit = criteria.usersUnableToLogIn, users.count >= criteria.minimumUsers,
            Double(usersOnlyFailing) > limit * Double(users.count)
        {
            return "\(usersOnlyFailing) of \(users.count) users cannot log in"
        }
        return nil
    }
}

/// Reads what was added to the access log, through its rotation: the old file to its end, then the new one.
final class AccessLogTail {
    private let path: String
    private let loginPath: String?
    private(set) var tally = AccessTally()
    /// The file that is read; -1 where there was none yet.
    private var file: Int32 = -1
    private var offset: off_t = 0
    private var rest: [UInt8] = []

    init(path: String, loginPath: String?) {
        (self.path, self.loginPath) = (path, loginPath)
        file = open(path, O_RDONLY | O_CLOEXEC)
        if let status = status(file) { offset = status.st_size }
    }

    deinit { if file >= 0 { close(file) } }

    private func status(_ file: Int32) -> stat? {
        var status = stat()
        return file >= 0 && fstat(file, &status) == 0 ? status : nil
    }

    func read() {
        drain()
        let newest = open(path, O_RDONLY | O_CLOEXEC)
        guard let there = status(newest) else { return }
        guard let here = status(file), (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino) else {
            if file >= 0 { close(file) }
            (file, offset, rest) = (newest, 0, [])
            return drain()
        }
        close(newest)
        guard here.st_size < offset else { return }
        (offset, rest) = (0, [])
        drain()
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 262_144)
        while true {
            let count = pread(file, &buffer, buffer.count, offset)
            guard count > 0 else { return }
            offset += off_t(count)
            rest.append(contentsOf: buffer[..<count])
            while let end = rest.firstIndex(of: 0x0A) {
                if let line = try? JSONDecoder().decode(AccessTally.Line.self, from: Data(rest[..<end])) {
                    tally.add(line, loginPath: loginPath)
                }
                rest.removeSubrange(...end)
            }
        }
    }
}
