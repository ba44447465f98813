import BasculeFleet
import BasculeModel
import Testing

@Suite struct MessageTests {
    let folder: FleetFolder
    init() throws { folder = try FleetFolder([]) }

    private func rendered(_ text: String, color: Bool = false) -> [String] {
        folder.errors(text).map { $0.render(color: color).replacing(folder.path + "/", with: "") }
    }

    @Test func aMisspeltKeyIsShownWithACaretAndASuggestion() {
        let text = "fleet: a\nnodes:\n  vps1: {address: 192.0.2.1, prot: 22}\n"
        #expect(
            rendered(text) == [
                """
                fleet.yaml:3:30: error: unknown key 'prot' in 'nodes.vps1'
                   3 |   vps1: {address: 192.0.2.1, prot: 22}
                     |                              ^~~~
                     = hint: did you mean 'port'?
                """
            ])
    }

    @Test func statementPoolingIsRefusedWithTheReason() {
        let text = smallest + "services: {postgresql: {}, pgbouncer: {poolMode: statement}}"
        #expect(
            rendered(text) == [
                """
                fleet.yaml:4:50: error: 'services.pgbouncer.poolMode' must not be 'statement': it forbids transactions \
                of more than one statement, which every app uses
                   4 | services: {postgresql: {}, pgbouncer: {poolMode: statement}}
                     |                                                  ^~~~~~~~~
                     = hint: use one of transaction, session
                """
            ])
    }

    @Test func aMissingKeySaysWhatItIs() {
        let text = smallest + "apps:\n  a: {source: {path: .}, start: x}\n"
        #expect(
            rendered(text) == [
                """
                fleet.yaml:5:3: error: 'apps.a' lacks the key 'port'
                   5 |   a: {source: {path: .}, start: x}
                     |   ^
                     = hint: 'port' is a port number (1024 to 65535): First instance's port; the next ones follow
                """
            ])
    }

    @Test func tabsKeepTheCaretInPlace() {
        let text = smallest + "caps: {\tdeletion: 1}"
        #expect(rendered(text).first?.contains("\n     |        \t^~~~~~~~\n") == true)
    }

    @Test func colourIsOptional() {
        let text = smallest + "caps: {deletion: 1}"
        #expect(rendered(text).allSatisfy { !$0.contains("\u{1b}") })
        #expect(rendered(text, color: true).allSatisfy { $0.contains("\u{1b}[1;31merror: \u{1b}[0m") })
    }

    @Test func aSyntaxErrorIsPlaced() {
        #expect(folder.complaints("fleet: a\nnodes: {n1: [}\n") == ["2:14 fleet-syntax"])
        #expect(folder.complaints("fleet: a\n\tnodes: {}\n") == ["2:1 fleet-syntax"])
        #expect(folder.complaints("fleet: a\n---\nfleet: b\n") == ["3:1 fleet-syntax"])
        #expect(folder.complaints("") == ["1:1 fleet-syntax"])
        #expect(folder.complaints("fleet: a\u{1b}[2J\n") == ["1:9 fleet-syntax"])
        #expect(folder.complaints("fleet: *nobody\n") == ["1:8 fleet-syntax"])
        #expect(folder.complaints("<<: {fleet: a}\n") == ["1:1 fleet-syntax"])
        #expect(folder.complaints("- fleet\n") == ["1:1 fleet-wrong-type"])
    }

    @Test func controlCharactersNeverReachTheTerminal() {
        let text = smallest + "\"\\e[2J\\x07\": 1\nresources: [{on: all, package: \"\\e[31m\"}]"
        let shown = rendered(text)
        #expect(shown.count == 2)
        #expect(shown.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" } })
    }

    @Test func aSecretsValueIsNeverShown() {
        let canary = "canary-8371"
        let texts = [
            "migration: {sources: {a: {postgres: \"\(canary)\", into: b}}, color: 1}",
            "migration: {sources: {a: {redis: \"redis://:\(canary)@h\"}}}",
            "apps: {a: {source: {path: .}, start: x, port: 1, env: {A: \"postgres://u:\(canary)@h/d\"}}}",
            "apps: {a: {source: {path: .}, start: x, port: 1, env: {API_TOKEN: \(canary)}}}",
            "x: postgres://u:\(canary)@h/d",
            "caps: {deletions: \"postgres://u:\(canary)@h/d\"}",
            "migration: {dns: {tsig: |\n  \(canary)\n  \(canary)\n}}",
            "migration:\n  dns:\n    zone: a.example\n    server: b\n    tsig: \"\(canary)\n      \(canary)\"\n",
            "resources: [{on: all, postgresRole: x, password: !secret \"\(canary) \"}]",
            "a: &a \"\(canary)\"\nmigration: {sources: {a: {postgres: *a, into: b}}}",
        ]
        for text in texts {
            let errors = folder.errors(smallest + text)
            #expect(!errors.isEmpty)
            for error in errors {
                #expect(!error.render().contains(canary), "\(text)")
                #expect(!"\(error)".contains(canary), "\(text)")
            }
        }
    }

    @Test func aLiteralThatSmellsOfASecretIsWarnedOf() throws {
        let app = "apps: {a: {source: {path: .}, start: x, port: 3000, env: {API_TOKEN: abc, NEXT_PUBLIC_TOKEN: b}}}"
        let warnings = try folder.parse(smallest + app).warnings
        #expect(warnings.map(FleetFolder.brief) == ["4:70 fleet-doubtful"])
        #expect(warnings.allSatisfy { !$0.render().contains("abc") })
    }
}
