import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// Templates: strict, plain, overridable, and blind to secrets' values.
@Suite struct TemplateTests {
    private func render(_ text: String, _ variables: [String: Variable]) throws -> Content {
        let folder = try CatalogueFolder(["t.conf": text])
        return try Renderer.render(try TemplateSource(file: folder.path + "/t.conf"), variables)
    }

    private func missing(_ text: String, _ variables: [String: Variable]) -> String? {
        do {
            _ = try render(text, variables)
            return nil
        } catch { return (error as? BasculeError)?.message }
    }

    @Test func nothingIsEscaped() throws {
        #expect(try render("a = {{x}}\n", ["x": "<\"&'>"]) == "a = <\"&'>\n")
    }

    @Test func missingVariableNamesTheTemplate() {
        #expect(
            missing("a {{nope}} {{other}}", ["x": 1])
                == "the template t.conf uses {{nope}}, {{other}}, which nothing gives it")
    }

    @Test func missingInsideASectionIsAMiss() {
        #expect(missing("{{#list}}{{nope}}{{/list}}", ["list": .list([.map(["a": 1])])]) != nil)
        #expect(missing("{{#nope}}x{{/nope}}", [:]) != nil)
        #expect(missing("{{^nope}}x{{/nope}}", [:]) != nil)
    }

    @Test func missingPartOfADottedNameIsAMiss() {
        #expect(missing("{{map.nope}} {{x}}", ["map": .map(["a": 1]), "x": 1]) != nil)
        #expect(missing("{{map.a}}", ["map": .map(["a": 1])]) == nil)
    }

    @Test func outerVariablesAreSeenInSections() throws {
        let content = try render(
            "{{#list}}{{a}}{{x}} {{/list}}", ["list": .list([.map(["a": 1]), .map(["a": 2])]), "x": "!"])
        #expect(content == "1! 2! ")
    }

    @Test func secretsStayPlaceholders() throws {
        let content = try render(
            "{{#users}}{{p}};{{/users}}", ["users": .list([.map(["p": .content(.parts([.text("a"), .secret("S")]))])])])
        #expect(content == .parts([.text("a"), .secret("S"), .text(";")]))
    }

    @Test func forgedPlaceholderStaysText() throws {
        let content = try render(
            "{{x}}{{s}}", ["x": .text("\u{F0000}TSIG\u{F0001}"), "s": .content(.parts([.secret("S")]))])
        #expect(content.secrets == ["S"])
    }

    @Test func brokenTemplateIsAnError() throws {
        #expect(missing("{{#open}} never closed", ["open": true])?.contains("not valid mustache") == true)
    }

    @Test func fleetOverridesABuiltInTemplate() throws {
        let folder = try CatalogueFolder(["templates/redis.conf": "port {{port}}\n# {{appPassword}}\n"])
        let compiled = try folder.compile(redisFleet)
        #expect(
            compiled.text("/etc/redis/redis-cache.conf") == "port 6379\n# ‹secret generated.redis.cache›\n")
    }

    @Test func overrideWithAnUnknownVariableIsAnError() throws {
        let folder = try CatalogueFolder(["templates/redis.conf": "port {{prot}}\n"])
        let error = try #require(try folder.error(redisFleet))
        #expect(error.code == .catalogueTemplate)
        #expect(error.message.contains("{{prot}}"))
        #expect(error.hint?.contains("port") == true)
    }

    @Test(arguments: ["a", "a b", "it's", "$HOME", "", "*"])
    func wordsReachTheShellUnchanged(_ word: String) throws {
        #expect(try runShell("printf %s " + ShellCommand.quote(word)) == word)
    }

    @Test func systemdSeesTheWordsAsTheyAre() {
        #expect(SystemdCommand.line(["node", "server.js"], directory: "/d") == "node server.js")
        #expect(
            SystemdCommand.line(["./bin/run", "50%", "$A", "a\"b"], directory: "/d")
                == #"/d/bin/run "50%%" "$$A" "a\"b""#)
    }

    private let redisFleet = """
        fleet: tiny
        nodes: {vps1: {address: 192.0.2.1}}
        topologies: {only: {vps1: [cache]}}
        services: {redis: {cache: {}}}

        """
}
