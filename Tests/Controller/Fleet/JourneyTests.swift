import BasculeFleet
import BasculeModel
import Testing

@Suite struct JourneyTests {
    private func complaints(_ text: String) -> [String] {
        do throws(FleetErrors) {
            _ = try JourneyFile.parse(text: text, path: "j.yaml")
            return []
        } catch {
            return error.errors.map(FleetFolder.brief)
        }
    }

    @Test func aJourneyParses() throws {
        let text = """
            name: shop
            variables: {email: a@shop.example, quantity: 2}
            steps:
              - name: log in
                request: {path: /api/login, json: {email: "{{email}}", remember: true}}
                expect: {status: 200}
                capture: {token: {json: token}}
                maxTime: 2s
              - name: buy
                write: true
                request: {path: /buy, form: {n: 1}}
                expect: {status: [200, 201], contains: ok}
            cleanup:
              - {name: undo, request: {method: DELETE, path: /buy}}
            """
        let journey = try JourneyFile.parse(text: text, path: "j.yaml")
        #expect(journey.variables == ["email": "a@shop.example", "quantity": "2"])
        #expect(journey.steps.map(\.name) == ["log in", "buy"])
        #expect(journey.steps[0].request.method == "POST")
        #expect(journey.steps[0].request.json == .object(["email": .string("{{email}}"), "remember": .bool(true)]))
        #expect(journey.steps[0].maxTime == 2)
        #expect(journey.steps[1].write && journey.steps[1].expect.status == [200, 201])
        #expect(journey.cleanup.map(\.request.method) == ["DELETE"])
    }

    @Test func mistakesHaveTheirPlaces() {
        let text = """
            name: shop
            stesp: []
            steps:
              - {name: a, request: {path: /, methd: GET}}
              - {name: b, request: {path: [1]}}
              - {name: c}
              - {name: d, request: {path: /}, maxTime: soon}
              - {name: e, request: {path: /}}
            """
        #expect(
            complaints(text) == [
                "2:1 fleet-unknown-key", "4:34 fleet-unknown-key", "5:31 fleet-wrong-type", "6:5 fleet-missing-key",
                "7:44 fleet-bad-value",
            ])
    }

    @Test func theWholeIsCheckedToo() {
        #expect(complaints("steps: [{name: a, request: {path: /}}]") == ["1:1 fleet-missing-key"])
        #expect(complaints("name: a\nsteps: []") == ["2:8 fleet-bad-value"])
        #expect(complaints("- a") == ["1:1 fleet-wrong-type"])
        #expect(complaints("name: a\nname: b\nsteps: [{name: a, request: {path: /}}]") == ["2:1 fleet-duplicate-key"])
        #expect(complaints("name: !secret A\nsteps: [{name: a, request: {path: /}}]") == ["1:7 fleet-bad-value"])
        #expect(complaints("") == ["1:1 fleet-syntax"])
    }
}
