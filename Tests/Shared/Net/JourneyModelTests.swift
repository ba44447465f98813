import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

/// What a customer of the tests' shop does.
let shopJourney = """
    {"name": "shop", "variables": {"user": "u-{{run}}", "password": "set by the caller", "quantity": 2},
     "servedBy": "X-Served-By", "record": ["order"],
     "steps": [
       {"name": "open login", "request": {"path": "/login"},
        "capture": {"token": {"after": "name=\\"csrf\\" value=\\"", "before": "\\""}, "session": {"cookie": "sid"}}},
       {"name": "log in", "request": {"path": "/login", "form": {"csrf": "{{token}}", "user": "{{user}}", "password": "{{password}}"}},
        "expect": {"status": 200, "contains": "Welcome {{user}}"}, "follow": true},
       {"name": "list", "request": {"path": "/products?q={{url:user}}"}, "maxTime": "2s",
        "expect": {"json": {"items[0].id": 7, "items.0.price": 12.5, "more": false}}, "capture": {"product": {"json": "items[0].id"}}},
       {"name": "buy", "write": true,
        "request": {"path": "/orders", "json": {"product": "{{number:product}}", "quantity": "{{number:quantity}}"}},
        "expect": {"status": [200, 201]}, "capture": {"order": {"json": "order.id"}, "place": {"header": "location"}}},
       {"name": "log out", "request": {"method": "POST", "path": "/logout"}, "expect": {"contains": ["bye"], "header": {"Content-Length": 3}}},
       {"name": "really out", "request": {"path": "/account"}, "expect": {"status": 401}}],
     "cleanup": [
       {"name": "open again", "request": {"path": "/login"}, "capture": {"token2": {"after": "value=\\"", "before": "\\""}}},
       {"name": "enter again", "request": {"path": "/login", "form": {"csrf": "{{token2}}", "user": "x", "password": "{{password}}"}}},
       {"name": "cancel", "request": {"method": "DELETE", "path": "{{place}}"}, "expect": {"status": 204}}]}
    """

func journey(_ json: String) throws -> Journey { try JSONDecoder().decode(Journey.self, from: Data(json.utf8)) }

@Suite struct JourneyModelTests {
    @Test func readsShortFormsAndRoundTrips() throws {
        let shop = try journey(shopJourney)
        #expect(shop.steps.map(\.request.method) == ["GET", "POST", "GET", "POST", "POST", "GET"])
        #expect(shop.steps[1].expect.contains == ["Welcome {{user}}"] && shop.steps[1].expect.status == [200])
        #expect(shop.steps[2].maxTime == 2 && shop.variables["quantity"] == "2")
        #expect(shop.steps[3].write && !shop.steps[2].write)
        let again = try JSONDecoder().decode(Journey.self, from: JSONEncoder().encode(shop))
        #expect(again == shop)
    }

    @Test(arguments: [
        (#"{"name": "x", "steps": []}"#, "a journey has at least one step"),
        (
            #"{"name": "x", "step": []}"#,
            "unknown key ‘step’; known are name, variables, steps, cleanup, record, servedBy"
        ),
        (#"{"name": "x", "steps": [{"name": "a", "request": {"path": "/"}, "expects": {}}]}"#, "unknown key ‘expects’"),
        (#"{"name": "x", "steps": [{"name": "a", "request": {"path": "/", "form": {}, "json": 1}}]}"#, "only one of"),
        (
            #"{"name": "x", "steps": [{"name": "a", "request": {"path": "/"}, "capture": {"b": {"after": "x"}}}]}"#,
            "a capture has"
        ),
        (#"{"name": "x", "steps": [{"name": "a", "request": {"path": "/"}, "maxTime": "soon"}]}"#, "is not a duration"),
        (
            #"{"name": "x", "steps": [{"name": "a", "request": {"path": "/"}}], "cleanup": [{"name": "a", "request": {"path": "/"}}]}"#,
            "two steps are called ‘a’"
        ),
    ])
    func refusesWhatIsMisspelt(json: String, text: String) {
        do {
            _ = try journey(json)
            Issue.record("It should have been refused")
        } catch {
            #expect("\(error)".contains(text), "\(error)")
        }
    }

    @Test(arguments: [
        ("a", "1"), ("b.c[1]", "x"), ("b.c.2.d", "2.5"), ("b.c[9]", nil), ("z", nil), ("a.b", nil), ("n", nil),
    ])
    func findsJSONPaths(path: String, text: String?) throws {
        let value = try JSONDecoder().decode(
            JSONValue.self, from: Data(#"{"a": 1, "b": {"c": [true, "x", {"d": 2.5}]}, "n": null}"#.utf8))
        #expect(value[path: path]?.scalarText == text)
    }

    @Test func fillsVariablesOnceAndNeverAgain() throws {
        var variables = try JourneyVariables(
            defaults: ["user": "u{{run}}", "given": "{{nothing}}"], given: ["given": "a b&{{user}}"])
        let user = try variables.fill("{{user}}")
        #expect(try user.count == 17 && variables.fill("{{ user }}") == user)
        #expect(try variables.fill("{{given}} {{url:given}} {{ {x}") == "a b&{{user}} a%20b%26%7B%7Buser%7D%7D {{ {x}")
        #expect(try variables.fill("{{random}}") != variables.fill("{{random}}"))
        variables["n"] = "007"
        #expect(try variables.fill(JSONValue.string("{{number:n}}")) == .integer(7))
        #expect(failure { _ = try variables.fill("x{{missing}}") }?.message == "The variable ‘missing’ has no value")
        #expect(failure { _ = try variables.fill(JSONValue.string("{{number:user}}")) } != nil)
    }

    @Test func keepsCookiesAsABrowserWould() {
        var jar = CookieJar()
        jar.take("a=1; Path=/; HttpOnly", host: "h", path: "/x/y", now: 0)
        jar.take("b=2", host: "h", path: "/x/y", now: 0)
        jar.take("c=3; Secure; Path=/", host: "h", path: "/", now: 0)
        jar.take("nonsense", host: "h", path: "/", now: 0)
        #expect(jar.field(host: "h", path: "/", secure: false) == "a=1")
        #expect(jar.field(host: "h", path: "/x/z", secure: true) == "b=2; a=1; c=3")
        #expect(jar.field(host: "h", path: "/xx", secure: false) == "a=1")
        #expect(jar.field(host: "other", path: "/", secure: true) == nil)
        jar.take("a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", host: "h", path: "/", now: 10)
        jar.take("b=; Path=/x; Max-Age=0", host: "h", path: "/", now: 10)
        jar.take("d=4=4; Path=/; Expires=Wed, 21-Oct-2099 07:28:00 GMT", host: "h", path: "/", now: 10)
        #expect(jar.field(host: "h", path: "/x/z", secure: false) == "d=4=4")
        #expect(CookieJar.seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 1_445_412_480)
    }
}
