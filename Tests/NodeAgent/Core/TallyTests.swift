import BasculeModel
import Glibc
import Testing

@testable import BasculeAgentCore

@Suite struct TallyTests {
    private func criteria(logins: Double? = nil, errors: Double? = nil, minimumUsers: Int = 1) -> WatchCriteria {
        WatchCriteria(
            duration: 60, usersUnableToLogIn: logins, serverErrors: errors, dataLoss: false, minimumUsers: minimumUsers,
            loginPath: "/login", accessLog: "",
            journey: nil, database: nil)
    }

    private func line(
        _ status: Int, _ path: String = "/", method: String = "GET", client: String = "192.0.2.1", user: String? = nil,
        maintenance: String? = "0"
    ) -> AccessTally.Line {
        AccessTally.Line(
            status: status, method: method, path: path, client: client, user: user, maintenance: maintenance)
    }

    private func tally(_ lines: [AccessTally.Line]) -> AccessTally {
        lines.reduce(into: AccessTally()) { $0.add($1, loginPath: "/login") }
    }

    static let errors: [(good: Int, bad: Int, limit: Double?, trips: Bool)] = [
        (0, 19, 0.01, false), (0, 20, 0.01, true), (99, 1, 0.01, false), (98, 2, 0.01, true), (19, 1, 0, true),
        (20, 0, 0, false), (0, 500, nil, false),
    ]

    @Test(arguments: errors.indices) func serverErrorsTripAboveTheirShareOfEnoughRequests(index: Int) {
        let (good, bad, limit, trips) = Self.errors[index]
        let all = tally(Array(repeating: line(200), count: good) + Array(repeating: line(502), count: bad))
        #expect(all.requests == good + bad && all.serverErrors == bad)
        #expect((all.trip(criteria(errors: limit)) != nil) == trips)
    }

    @Test func theMaintenancePageIsNoErrorAndAnotherFiveOhThreeIs() {
        #expect(tally([line(503, maintenance: "1")]).serverErrors == 0)
        #expect(
            tally([line(503, maintenance: "0"), line(503, maintenance: nil), line(500, maintenance: "1")]).serverErrors
                == 3)
        #expect(tally([line(503, "/login", method: "POST", maintenance: "1")]).users.isEmpty)
    }

    @Test func onlyAnsweredLoginsCount() {
        #expect(
            tally([line(200, "/login"), line(200, "/other", method: "POST"), line(200, "/login/x", method: "POST")])
                .users.isEmpty)
    }

    @Test func whoGotInOnceIsAbleToLogIn() {
        let all = tally([
            line(401, "/login", method: "POST", user: "a"), line(200, "/login", method: "POST", user: "a"),
            line(500, "/login", method: "POST", user: "a"),
            line(401, "/login", method: "POST", user: "b"), line(302, "/login", method: "POST", user: "c"),
        ])
        #expect(all.users == ["a": true, "b": false, "c": true])
        #expect(all.usersOnlyFailing == 1)
    }

    @Test func whoHasNoNameIsTheirAddress() {
        let all = tally([
            line(401, "/login", method: "POST", client: "198.51.100.7", user: ""),
            line(401, "/login", method: "POST", client: "198.51.100.7", user: "-"),
        ])
        #expect(all.users == ["198.51.100.7": false])
    }

    static let logins: [(failing: Int, fine: Int, limit: Double?, minimum: Int, trips: Bool)] = [
        (2, 18, 0.1, 20, false), (3, 17, 0.1, 20, true), (19, 0, 0.1, 20, false), (1, 19, 0, 20, true),
        (0, 20, 0, 20, false), (20, 0, nil, 1, false),
    ]

    @Test(arguments: logins.indices) func usersUnableToLogInTripAboveTheirShareOfEnoughUsers(index: Int) {
        let (failing, fine, limit, minimum, trips) = Self.logins[index]
        let lines =
            (0..<failing).map { line(401, "/login", method: "POST", user: "f\($0)") }
            + (0..<fine).map { line(200, "/login", method: "POST", user: "g\($0)") }
        #expect((tally(lines).trip(criteria(logins: limit, minimumUsers: minimum)) != nil) == trips)
    }
}

@Suite struct AccessLogTailTests {
    let folder: Folder
    var path: String { "\(folder.path)/access.json" }
    init() throws { folder = try Folder() }

    private func add(_ text: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(file) }
        try DurableFile.writeAll(Array(text.utf8), to: file, path: path)
    }

    private func entry(_ status: Int) -> String {
        #"{"time":"t","status":\#(status),"method":"GET","path":"/","client":"192.0.2.1","user":"","maintenance":"0"}"#
    }

    @Test func onlyWhatIsAddedCountsHoweverItIsCut() throws {
        try add(entry(500) + "\n")
        let tail = AccessLogTail(path: path, loginPath: nil)
        tail.read()
        #expect(tail.tally.requests == 0)
        try add(String(entry(200).prefix(20)))
        tail.read()
        #expect(tail.tally.requests == 0)
        try add(entry(200).dropFirst(20) + "\n" + "not json\n" + entry(502) + "\n")
        tail.read()
        #expect(tail.tally.requests == 2 && tail.tally.serverErrors == 1)
        tail.read()
        #expect(tail.tally.requests == 2)
    }

    @Test func aLogThatIsNotThereYetIsRead() throws {
        let tail = AccessLogTail(path: path, loginPath: nil)
        tail.read()
        try add(entry(200) + "\n")
        tail.read()
        #expect(tail.tally.requests == 1)
    }

    /// logrotate renames the log at midnight, and Nginx goes on in the old one until it is told.
    @Test func aRotatedLogIsFollowed() throws {
        try add(String(repeating: entry(200) + "\n", count: 50))
        let tail = AccessLogTail(path: path, loginPath: nil)
        try add(entry(502) + "\n")
        tail.read()
        #expect(rename(path, path + ".1") == 0)
        try add(entry(502) + "\n")
        tail.read()
        try add(entry(502) + "\n")
        tail.read()
        #expect(tail.tally.serverErrors == 3)
    }

    @Test func whatTheOldLogStillGetsAfterItsRenamingCounts() throws {
        try add(entry(200) + "\n")
        let tail = AccessLogTail(path: path, loginPath: nil)
        tail.read()
        #expect(rename(path, path + ".1") == 0)
        let old = open(path + ".1", O_WRONLY | O_APPEND)
        try DurableFile.writeAll(Array((entry(502) + "\n").utf8), to: old, path: path)
        close(old)
        tail.read()
        try add(entry(503) + "\n")
        tail.read()
        #expect(tail.tally.serverErrors == 2)
    }

    @Test func aTruncatedLogIsReadFromItsBeginning() throws {
        try add(String(repeating: entry(200) + "\n", count: 50))
        let tail = AccessLogTail(path: path, loginPath: nil)
        tail.read()
        #expect(truncate(path, 0) == 0)
        try add(entry(502) + "\n")
        tail.read()
        #expect(tail.tally.serverErrors == 1)
    }
}
