import BasculeModel
import FoundationEssentials
import Testing

@testable import BasculeProtocol

@Suite struct MessageTests {
    private func text(_ value: some Encodable) throws -> String {
        String(decoding: try Wire.encode(value), as: UTF8.self)
    }

    /// These texts are what a program of the same protocol version has sent: they may only ever be added to.
    @Test func goldenRequests() throws {
        let golden: [(Request, String)] = [
            (
                .hello(Hello(versions: [1], product: "0.1.0", epoch: 3, holder: "alice@laptop pid 1")),
                #"{"hello":{"_0":{"epoch":3,"holder":"alice@laptop pid 1","product":"0.1.0","versions":[1]}}}"#
            ),
            (.facts, #"{"facts":{}}"#),
            (.status, #"{"status":{}}"#),
            (.missingBlobs(["ab"]), #"{"missingBlobs":{"_0":["ab"]}}"#),
            (.putBlob("ab", size: 12), #"{"putBlob":{"_0":"ab","size":12}}"#),
            (.attach("seg", from: 8), #"{"attach":{"_0":"seg","from":8}}"#),
            (.command("seg", .noGo), #"{"command":{"_0":"seg","_1":"no-go"}}"#),
            (.keepBackup("ab", number: 4), #"{"keepBackup":{"_0":"ab","number":4}}"#),
            (.backups, #"{"backups":{}}"#),
            (.leave, #"{"leave":{}}"#),
            (.rotate(.adoptSealing("0a")), #"{"rotate":{"_0":{"adoptSealing":{"_0":"0a"}}}}"#),
            (.edge(.old, lease: nil), #"{"edge":{"_0":"old"}}"#),
            (
                .hold("vps1/file:/a", seconds: 60, reason: "r"),
                #"{"hold":{"_0":"vps1/file:/a","reason":"r","seconds":60}}"#
            ),
            (.hold(nil, seconds: nil, reason: ""), #"{"hold":{"reason":""}}"#),
            (.release(nil), #"{"release":{}}"#),
            (
                .admitToken(name: "ci-1", app: "shop", key: "ssh-ed25519 AAAA"),
                #"{"admitToken":{"app":"shop","key":"ssh-ed25519 AAAA","name":"ci-1"}}"#
            ),
            (.revokeToken(name: "ci-1"), #"{"revokeToken":{"name":"ci-1"}}"#),
            (.outbox(from: 3, limit: 9), #"{"outbox":{"from":3,"limit":9}}"#),
            (.errors(app: "shop", since: 1.5), #"{"errors":{"app":"shop","since":1.5}}"#),
            (
                .testAlert(channels: ["webhook"], seconds: 60),
                #"{"testAlert":{"channels":["webhook"],"seconds":60}}"#
            ),
            (.errors(app: nil, since: 0), #"{"errors":{"since":0}}"#),
            (.edge(.maintenance, lease: 60), #"{"edge":{"_0":"maintenance","lease":60}}"#),
            (
                .putSecrets([SealedSecret(name: "db/shop", sealed: "00")], tag: "t"),
                #"{"putSecrets":{"_0":[{"name":"db/shop","sealed":"00"}],"tag":"t"}}"#
            ),
            (
                .observe([DesiredResource(.package(PackageSpec("nginx")), on: "vps1", origin: "test")]),
                #"{"observe":{"_0":[{"id":"vps1/package:nginx","origin":"test","requires":[],"resource":{"kind":"package","value":{"name":"nginx","state":"present"}}}]}}"#
            ),
        ]
        for (request, expected) in golden + goldenGauges {
            #expect(try text(request) == expected)
            #expect(try Wire.decode(Request.self, from: Array(expected.utf8)) == request)
        }
    }

    private let goldenGauges: [(Request, String)] = [
        (
            .askBackup(kind: "postgresql", words: ["state"]),
            #"{"askBackup":{"kind":"postgresql","words":["state"]}}"#
        ),
        (
            .comparePooling(
                PoolTrial(server: PostgresServer(), clients: [8], seconds: 5, rounds: 3, scale: 10, writes: false)),
            #"{"comparePooling":{"_0":{"clients":[8],"rounds":3,"scale":10,"seconds":5,"server":{"port":5432,"socket":"/var/run/postgresql"},"writes":false}}}"#
        ),
        (
            .measure([.redis(host: "127.0.0.1", port: 6379, user: nil, password: "p")]),
            #"{"measure":{"_0":[{"redis":{"host":"127.0.0.1","password":"p","port":6379}}]}}"#
        ),
        (
            .measure([.postgres(PostgresServer(), database: "d")]),
            #"{"measure":{"_0":[{"postgres":{"_0":{"port":5432,"socket":"/var/run/postgresql"},"database":"d"}}]}}"#
        ),
        (
            .observe([
                DesiredResource(
                    .probe(ProbeSpec("x", .command(["true"], user: "root"), unit: "x.service")), on: "vps1",
                    origin: "test")
            ]),
            #"{"observe":{"_0":[{"id":"vps1/probe:x","origin":"test","requires":[],"resource":{"kind":"probe","value":{"check":{"command":{"_0":["true"],"user":"root"}},"name":"x","timeout":30,"unit":"x.service"}}}]}}"#
        ),
    ]

    @Test func goldenAnswers() throws {
        #expect(
            try text(Reply.refused(BasculeError(.unknownRequest, "no")))
                == #"{"refused":{"_0":{"code":"unknown-request","message":"no"}}}"#)
        #expect(try text(Reply.restored(["n/file:/a": "x"])) == #"{"restored":{"_0":{"n/file:/a":"x"}}}"#)
        #expect(
            try text(Reply.outbox([AgentEvent(sequence: 2, time: 1.5, kind: .healFailed, text: "x")]))
                == #"{"outbox":{"_0":[{"kind":"heal-failed","sequence":2,"text":"x","time":1.5}]}}"#)
        #expect(try text(Event.alive) == #"{"alive":{}}"#)
        #expect(
            try text(
                Event.journal(JournalRecord(sequence: 7, time: 1.5, segment: "s", event: .started("a", attempt: 2))))
                == #"{"journal":{"_0":{"event":{"started":{"_0":"a","attempt":2}},"segment":"s","sequence":7,"time":1.5}}}"#
        )
        #expect(
            try text(Reply.ended(SegmentOutcome(.rolledBack, results: ["a": StepResult(.done, "ok")])))
                == #"{"ended":{"_0":{"compensations":{},"results":{"a":{"changes":{},"evidence":[],"seconds":0,"status":"done","summary":"ok"}},"status":"rolled-back"}}}"#
        )
    }

    @Test(arguments: Samples.requests.indices) func everyRequestComesBack(index: Int) throws {
        let request = Samples.requests[index]
        #expect(try Wire.decode(Request.self, from: Wire.encode(request)) == request)
        #expect(try request.encoded() == Wire.encode(request), "the short way writes the same")
    }

    @Test(arguments: Samples.replies.indices) func everyReplyComesBack(index: Int) throws {
        let reply = Samples.replies[index]
        #expect(try Reply.decoded(from: Wire.encode(reply)) == reply)
        #expect(try Wire.decode(Reply.self, from: Wire.encode(reply)) == reply)
    }

    @Test(arguments: Samples.events.indices) func everyEventComesBack(index: Int) throws {
        let event = Event.journal(JournalRecord(sequence: index, time: 0.1, segment: "s", event: Samples.events[index]))
        #expect(try Wire.decode(Event.self, from: Wire.encode(event)) == event)
    }

    @Test func progressAndLifeComeBack() throws {
        for event in [
            Event.alive, .progress(StepProgress(step: "a", line: "1 %\u{1B}[2J", fraction: nil)),
            .progress(StepProgress(step: "a", line: "", fraction: 0.5)),
        ] {
            #expect(try Wire.decode(Event.self, from: Wire.encode(event)) == event)
        }
    }

    /// Fails to compile, or here, when a case is added without a sample.
    @Test func theSamplesHoldEveryCase() {
        let requests = Set(
            Samples.requests.map { request in
                switch request {
                case .hello: 0
                case .facts: 1
                case .observe: 2
                case .missingBlobs: 3
                case .putBlob: 4
                case .putSecrets: 5
                case .submit: 6
                case .attach: 7
                case .command: 8
                case .status: 9
                case .journal: 10
                case .snapshots: 11
                case .restore: 12
                case .edge: 13
                case .publicKey: 14
                case .upgrade: 15
                case .keepBackup: 16
                case .backups: 17
                case .leave: 18
                case .manifest: 19
                case .hold: 20
                case .release: 21
                case .outbox: 22
                case .confirm: 23
                case .program: 24
                case .keepProgram: 25
                case .admitToken: 26
                case .revokeToken: 27
                case .rotate: 28
                case .errors: 29
                case .testAlert: 30
                case .measure: 31
                case .comparePooling: 32
                case .askBackup: 33
                }
            })
        #expect(requests == Set(0...33))
        let replies = Set(
            Samples.replies.map { reply in
                switch reply {
                case .welcome: 0
                case .facts: 1
                case .observations: 2
                case .digests: 3
                case .accepted: 4
                case .ended: 5
                case .status: 6
                case .journal: 7
                case .snapshots: 8
                case .restored: 9
                case .publicKey: 10
                case .refused: 11
                case .backups: 12
                case .outbox: 13
                case .errors: 14
                case .measured: 15
                case .pooling: 16
                case .text: 17
                }
            })
        #expect(replies == Set(0...17))
    }

    @Test(arguments: [
        "", "{", "null", "[]", "{}", #"{"teleport":{}}"#, #"{"facts":{},"status":{}}"#, #"{"attach":{"_0":"s"}}"#,
        #"{"command":{"_0":"s","_1":"explode"}}"#,
        #"{"observe":{"_0":[{"id":"x","origin":"","requires":[],"resource":{"kind":"warp","value":{}}}]}}"#,
        #"{"journal":{"from":1e99,"limit":1}}"#,
    ])
    func whatIsNoRequestIsATypedError(text: String) {
        let error = #expect(throws: BasculeError.self) { try Wire.decode(Request.self, from: Array(text.utf8)) }
        #expect(error?.code == .protocolViolation)
        #expect(error?.hint != nil)
    }

    @Test func aPeersAdditionalKeysAreOverlooked() throws {
        let text = #"{"hello":{"_0":{"versions":[1,2],"product":"9","epoch":3,"holder":"h","mood":"fine"}}}"#
        #expect(
            try Wire.decode(Request.self, from: Array(text.utf8))
                == .hello(Hello(versions: [1, 2], product: "9", epoch: 3, holder: "h")))
    }

    @Test func equalValuesHaveEqualBytes() throws {
        let names = (0..<50).map { StepID("step \($0)") }
        let one = Dictionary(uniqueKeysWithValues: names.map { ($0, StepResult(.done)) })
        let other = Dictionary(uniqueKeysWithValues: names.reversed().map { ($0, StepResult(.done)) })
        #expect(
            try Wire.encode(SegmentOutcome(.converged, results: one))
                == Wire.encode(SegmentOutcome(.converged, results: other)))
    }
}
