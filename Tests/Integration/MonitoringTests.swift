import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// An app that throws, and an administrator who is told, on one node.
    @Suite(.serialized, .scene("watch")) struct MonitoringTests {
        let scene: Scene
        let node: NodeName = "vps1"

        init() throws { scene = try #require(Scene.shared) }

        @Test func theAdministratorIsToldAndErrorsAreGrouped() async throws {
            try scene.write("shop/server.py", Watched.app)
            try scene.write("hook.py", Watched.hook)
            try scene.fleet(Watched.fleet(image: "debian12", roles: "app, monitoring", services: ""))
            try #require(
                try await scene.bascule("secret", "set", "HOOK", stdin: "http://127.0.0.1:9999/alerts").status == 0)
            try await scene.converge(Watched.fleet(image: "debian12", roles: "app, monitoring", services: ""))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")

            let told = try await scene.bascule("monitoring", "test-alert", "--within", "60s")
            #expect(told.status == 0 && told.text.contains("taken by webhook"), "\(told.all)")
            #expect(try await scene.shell(node, "cat /srv/hook/alerts").contains("TestAlert"))

            #expect(try await scene.bascule("errors").text.contains("no errors"))
            for order in 1...3 { try await scene.shell(node, Watched.get("http://127.0.0.1:3000/boom/\(order)")) }
            let grouped = try await eventually(within: 60) {
                let listed = try await scene.bascule("errors", "shop", "--json")
                return listed.text.contains("\"count\":3") && listed.text.split(separator: "\n").count == 1
            }
            let shown = try await scene.bascule("errors")
            #expect(grouped, "\(shown.all)")
            #expect(
                shown.text.contains("3 × LookupError: no order <n>") && shown.text.contains("in find"), "\(shown.text)")
            #expect(!shown.text.contains("hunter2"), "\(shown.text)")
            let alerted = try await eventually(within: 60) {
                try await scene.shell(node, "cat /srv/hook/alerts").contains("NewError")
            }
            #expect(alerted)

            // What is broken by hand is found, and mended: a file by the agent, a stopped unit by an apply.
            let rules = "/etc/prometheus/rules/bascule-node.yml"
            try await scene.shell(node, "echo broken > \(rules)")
            #expect(
                try await eventually(within: 30) { try await scene.shell(node, "cat \(rules)").contains("NodeDown") })
            try #require(try await scene.bascule("hold", "vps1", "--for", "10m").status == 0)
            try await scene.shell(node, "systemctl stop prometheus-node-exporter")
            #expect(try await scene.bascule("drift").status == 2)
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.shell(node, "systemctl is-active prometheus-node-exporter") == "active")
            try await theGateIsRedUntilTheAlertArrives()
        }

        /// Before anything is frozen: red while nobody hears, green once it has arrived, and then for as long as declared.
        private func theGateIsRedUntilTheAlertArrives() async throws {
            let gate = ["apply", "--yes", "--through", "rehearse-smoke"]
            try scene.fleet(
                Watched.fleet(image: "debian12", roles: "app, monitoring", services: "")
                    + "migration: {approve: auto, testAlert: 4s}\n")
            try await scene.shell(node, "touch /srv/hook/deaf")
            let deaf = try await scene.bascule(gate, environment: [:])
            #expect(deaf.status == 1 && deaf.all.contains("alert-undelivered"), "\(deaf.all)")
            try await scene.shell(node, "rm /srv/hook/deaf; : > /srv/hook/alerts")
            try scene.fleet(
                Watched.fleet(image: "debian12", roles: "app, monitoring", services: "")
                    + "migration: {approve: auto, testAlert: 10m}\n")
            for sent in ["✓", "="] {
                let passed = try await scene.bascule(gate, environment: [:])
                #expect(
                    passed.status == 3 && passed.text.contains("\(sent) vps1  see a test alert reach"), "\(passed.all)")
            }
            let told = try await scene.shell(node, "grep -o 'TestAlert' /srv/hook/alerts | wc -l")
            #expect(told != "0", "it arrived")
            let runs = try await scene.bascule("history", "--json").text
            let run = try #require(runs.firstMatch(of: #/"id":"([^"]+)"/#), "\(runs)")
            let evidence = try await scene.bascule("history", String(run.1)).text
            #expect(evidence.contains("✓ test alert: taken after"), "\(evidence)")
        }
    }
}
