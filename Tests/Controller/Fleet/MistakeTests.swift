import BasculeFleet
import BasculeModel
import Foundation
import Testing

/// One mistake each, added to the smallest fleet (three lines), and where it is reported.
private let mistakes: [(text: String, complaints: [String])] = [
    ("color: red", ["4:1 fleet-unknown-key"]),
    ("services: {redis: {cach: {}}}", ["4:20 fleet-unknown-key"]),
    ("services: {pgbouncer: {}}", ["4:12 fleet-dangling-reference"]),
    ("services: {postgresql: {port: 0}}", ["4:31 fleet-bad-value"]),
    ("services: {postgresql: {port: [1]}}", ["4:31 fleet-wrong-type"]),
    ("services: {postgresql: {databases: {\"a'b\": {}}}}", ["4:37 fleet-bad-name"]),
    ("services: {postgresql: {}, postgresql: {}}", ["4:28 fleet-duplicate-key"]),
    ("services: {nginx: {gzip: yes}}", ["4:26 fleet-bad-value"]),
    ("services: {nginx: {rateLimit: {rate: 20}}}", ["4:38 fleet-bad-value"]),
    ("services: {redis: {durable: {policy: allkeys-lru}}}", ["4:38 fleet-bad-value"]),
    ("services: {redis: {}}", ["4:12 fleet-missing-key"]),
    ("services: {redis: {cache: {port: 5432}}, postgresql: {}}", ["4:34 fleet-duplicate-id"]),
    ("caps: {deletions: -1}", ["4:19 fleet-bad-value"]),
    ("costs: {before: {Supabase: free}}", ["4:28 fleet-bad-value"]),
    ("costs: {server: hetzner-cx99}", ["4:17 fleet-bad-value"]),
    ("costs: {maintenance: {hours: 2}}", ["4:9 fleet-missing-key"]),
    ("caps: {memory: 20}", ["4:16 fleet-bad-value"]),
    ("topology: other", ["4:11 fleet-dangling-reference"]),
    ("nodes: {n2: {}}", ["4:1 fleet-duplicate-key"]),
    ("resources: [{on: all, package: \"a;b\"}]", ["4:32 fleet-bad-name"]),
    ("resources: [{package: nginx}]", ["4:13 fleet-missing-key"]),
    ("resources: [{on: n2, package: nginx}]", ["4:18 fleet-dangling-reference"]),
    ("resources: [{on: [n1, databse], package: nginx}]", ["4:23 fleet-dangling-reference"]),
    ("resources: [{on: all}]", ["4:13 fleet-missing-key"]),
    ("resources: [{on: all, packge: nginx}]", ["4:23 fleet-unknown-key"]),
    ("resources: [{on: all, file: /a, directory: /b}]", ["4:33 fleet-bad-value"]),
    ("resources: [{on: all, file: etc/x, content: a}]", ["4:29 fleet-bad-path"]),
    ("resources: [{on: all, file: /etc/../x, content: a}]", ["4:29 fleet-bad-path"]),
    ("resources: [{on: all, file: \"/etc/$(x)\", content: a}]", ["4:29 fleet-bad-path"]),
    ("resources: [{on: all, file: /etc/x}]", ["4:13 fleet-bad-value"]),
    (
        "resources: [{on: all, file: /etc/x, content: a, source: b}]",
        ["4:13 fleet-bad-value", "4:57 fleet-missing-file"]
    ),
    ("resources: [{on: all, file: /etc/x, template: ../a}]", ["4:47 fleet-bad-path"]),
    ("resources: [{on: all, file: /etc/x, template: no.conf}]", ["4:47 fleet-missing-file"]),
    ("resources: [{on: all, file: /etc/x, content: a, mode: 644}]", ["4:55 fleet-bad-value"]),
    ("resources: [{on: all, unit: nginx}]", ["4:29 fleet-bad-name"]),
    ("resources: [{on: all, package: a}, {on: n1, package: [b, a]}]", ["4:54 fleet-duplicate-id"]),
    ("resources: [{on: all, package: [a, b], version: \"1\"}]", ["4:49 fleet-bad-value"]),
    ("resources: [{on: all, postgresRole: x, password: hunter2}]", ["4:50 fleet-plain-secret"]),
    ("resources: [{on: all, firewall: x, allow: 80, from: 10.0.0.0/33}]", ["4:53 fleet-bad-value"]),
    ("resources: [{on: all, probe: p}]", ["4:13 fleet-bad-value"]),
    ("resources: [{on: all, probe: p, url: \"https://a\"}]", ["4:38 fleet-bad-value"]),
    ("resources: [{on: all, probe: p, connect: \"a:1\", command: b}]", ["4:13 fleet-bad-value"]),
    ("resources: [{on: all, probe: p, command: b, status: 200}]", ["4:13 fleet-bad-value"]),
    ("resources: {on: all}", ["4:12 fleet-wrong-type"]),
    ("apps: {a: {source: {path: .}, start: x, port: 80}}", ["4:47 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: x}}", ["4:8 fleet-missing-key"]),
    ("apps: {a: {source: {path: .}, start: x, prot: 3000}}", ["4:41 fleet-unknown-key"]),
    ("apps: {a: {source: {path: ., git: x}, start: x, port: 3000}}", ["4:30 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: \"x > y\", port: 3000}}", ["4:38 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: \"A=b x\", port: 3000}}", ["4:38 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, env: {A-B: c}}}", ["4:59 fleet-bad-name"]),
    (
        "apps: {a: {source: {path: .}, start: x, port: 3000, env: {A: !binding database.b}}}",
        ["4:62 fleet-dangling-reference"]
    ),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, env: {A: !binding a}}}", ["4:62 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, env: {A: !secrte B}}}", ["4:62 fleet-bad-value"]),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, env: {A: !secret \"b c\"}}}", ["4:62 fleet-bad-name"]),
    ("apps: {a: {source: {path: .}, start: !secret X, port: 3000}}", ["4:38 fleet-wrong-type"]),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, journeys: no.yaml}}", ["4:63 fleet-missing-file"]),
    ("apps: {a: {source: {path: .}, start: x, port: 3000, domains: [a.example]}}", ["4:53 fleet-dangling-reference"]),
    (
        "apps: {a: {source: {path: .}, port: 3000, instances: 2, start: x}, b: {source: {git: x}, start: x, port: 3001}}",
        ["4:106 fleet-duplicate-id"]
    ),
    ("migration: {sources: {a: {postgres: !secret A, into: b}}}", ["4:54 fleet-dangling-reference"]),
    ("migration: {sources: {a: {redis: !secret A}}}", ["4:23 fleet-dangling-reference"]),
    ("migration: {sources: {a: {files: \"old:/x\", to: /y}}}", ["4:34 fleet-bad-value"]),
    ("migration: {window: {start: tomorrow}}", ["4:29 fleet-bad-value"]),
    ("migration: {window: {length: 1m}}", ["4:30 fleet-bad-value"]),
    ("migration: {rollback: {when: {dataLoss: 110%}}}", ["4:41 fleet-bad-value"]),
    (
        "migration: {dns: {zone: a.example, server: h, tsig: !secret T, records: {b.example: {A: n1}}}}",
        ["4:74 fleet-dangling-reference"]
    ),
    (
        "migration: {dns: {zone: a.example, server: h, tsig: !secret T, records: {a.example: {A: n2}}}}",
        ["4:89 fleet-dangling-reference"]
    ),
    (
        "migration: {dns: {zone: a.example, server: h, tsig: !secret T, records: {a.example: {AAAA: 192.0.2.1}}}}",
        ["4:92 fleet-bad-value"]
    ),
]

@Suite struct MistakeTests {
    let folder: FleetFolder
    init() throws { folder = try FleetFolder() }

    @Test func theSmallestFleetIsFine() throws {
        let fleet = try folder.parse(smallest).fleet
        #expect(fleet.activeTopology == "only")
        #expect(fleet.services == Services())
    }

    @Test(arguments: mistakes.indices)
    func eachMistakeIsReportedAtItsPlace(index: Int) {
        let (text, complaints) = mistakes[index]
        #expect(folder.complaints(smallest + text) == complaints, "\(text)")
    }

    @Test func tenMistakesGiveTenMessages() {
        let text = """
            fleet: Girly Crea
            nodes:
              vps1: {address: 203.0.113.10, prot: 22}
            topologies:
              single: {vps1: [database, web, app], vps2: [cache]}
            services:
              postgresql: {version: fifteen, databases: {shop: {}}}
              pgbouncer: {poolMode: statement}
              nginx: {clientMaxBody: huge}
            apps:
              shop:
                source: {path: ../shop}
                port: 3000
                port: 3001
                start: node server.js
                env: {DATABASE_URL: !binding database.shpo}
            migration:
              sources:
                db: {postgres: "postgres://u:hunter2@db.example/shop", into: shop}
            """
        #expect(
            folder.complaints(text) == [
                "1:8 fleet-bad-name", "3:33 fleet-unknown-key", "5:40 fleet-dangling-reference", "7:25 fleet-bad-value",
                "8:25 fleet-bad-value", "9:26 fleet-bad-value", "12:20 fleet-bad-path", "14:5 fleet-duplicate-key",
                "16:25 fleet-dangling-reference", "19:20 fleet-plain-secret",
            ])
    }

    @Test func everyDuplicateKeyIsReported() {
        let text = smallest + "caps: {deletions: 1, deletions: 2, deletions: 3}\ncaps: {}\nfleet: again\n"
        #expect(
            folder.complaints(text) == [
                "4:22 fleet-duplicate-key", "4:36 fleet-duplicate-key", "5:1 fleet-duplicate-key",
                "6:1 fleet-duplicate-key",
            ])
    }

    @Test func aMissingKeyIsReportedAtItsOwner() {
        #expect(folder.complaints("nodes: {a: {address: b}}") == ["1:1 fleet-missing-key"])
        #expect(folder.complaints("fleet: a") == ["1:1 fleet-missing-key"])
    }

    @Test(arguments: ["a\\nb", "a'b", "a\\\"b", "$(reboot)", "a;b", "a\\0b", "a b", "", "-a", "A", "é", "../a", "a/b"])
    func hostileNamesAreRefused(name: String) {
        let node = "fleet: a\nnodes: {\"\(name)\": {address: 192.0.2.1}}"
        #expect(folder.complaints(node) == ["2:9 fleet-bad-name"])
        let app = smallest + "apps: {\"\(name)\": {source: {path: .}, start: x, port: 3000}}"
        #expect(folder.complaints(app) == ["4:8 fleet-bad-name"])
    }

    @Test func aNodeMustNotBeCalledLikeARole() {
        #expect(folder.complaints("fleet: a\nnodes: {web: {address: 192.0.2.1}}") == ["2:9 fleet-bad-name"])
    }

    @Test func aServiceWithoutANodeIsAnError() {
        let text = "fleet: a\nnodes: {n1: {address: b}}\ntopologies: {t: {n1: [web]}}\nservices: {postgresql: {}}"
        #expect(folder.complaints(text) == ["4:12 fleet-dangling-reference"])
    }

    @Test func oneMistakeInANodeDoesNotMakeItUnknown() {
        let text = "fleet: a\nnodes: {n1: {address: [b]}}\ntopologies: {t: {n1: [web]}}"
        #expect(folder.complaints(text) == ["2:23 fleet-wrong-type"])
    }

    @Test func mistakesInAJourneyAreReportedToo() throws {
        let bad = try FleetFolder(["broken.yaml"])
        let text = smallest + "apps: {a: {source: {path: .}, start: x, port: 3000, journeys: broken.yaml}}"
        let errors = bad.errors(text)
        #expect(errors.map(\.error.place) == [.file(path: bad.path + "/broken.yaml", line: 1, column: 1)])
    }

    @Test func onlyFilesOfTheFolderCount() throws {
        let manager = FileManager.default
        try manager.createSymbolicLink(atPath: folder.path + "/out", withDestinationPath: "/etc/passwd")
        try manager.createSymbolicLink(atPath: folder.path + "/in", withDestinationPath: "templates/b.conf")
        func entry(_ path: String) -> String { smallest + "resources: [{on: all, file: /etc/x, source: \(path)}]" }
        #expect(folder.complaints(entry("out")) == ["4:45 fleet-bad-path"])
        #expect(folder.complaints(entry("in")) == [])
        #expect(folder.complaints(entry("templates")) == ["4:45 fleet-missing-file"])
    }

    @Test func aMissingFileIsSaidClearly() {
        do throws(FleetErrors) {
            _ = try FleetFile.parse(path: folder.path + "/nothing.yaml")
            Issue.record("it parsed")
        } catch {
            #expect(error.errors.map(\.error.code) == [.inputOutput])
        }
        #expect(throws: FleetErrors.self) { try FleetFile.parse(path: folder.path) }
        #expect(throws: FleetErrors.self) { try FleetFile.parse(path: "/dev/zero") }
    }
}
