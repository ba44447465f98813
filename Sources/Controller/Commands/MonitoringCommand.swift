import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeProtocol
import Foundation

/// `bascule monitoring`
struct MonitoringCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitoring",
        abstract: "Whether alerts reach the administrator, and how to look at the dashboards.",
        subcommands: [TestAlert.self, Tunnel.self])

    struct TestAlert: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test-alert",
            abstract: "Send an alert that says it is a test, and wait until every channel has taken it.",
            discussion: """
                Ends with 0 once the mail server or the webhook has accepted it, with 1 where
                one has not in time.
                """)
        @OptionGroup var options: FleetOptions
        @Option(help: "How long to wait: 30s, 2m.") var within = Span(seconds: 90)

        func run() async throws {
            let session = try options.session()
            let (service, node) = try monitoring(session)
            let channels = service.channels
            guard !channels.isEmpty else {
                throw BasculeError(
                    .notFound, "alerts reach nobody: neither mail nor webhook is declared",
                    hint: "add services.monitoring.mail or services.monitoring.webhook")
            }
            let start = ContinuousClock.now
            do {
                _ = try await session.link(node).ask(.testAlert(channels: channels, seconds: within.seconds))
            } catch {
                await session.close()
                throw error
            }
            await session.close()
            Terminal.say(
                "the test alert was taken by \(channels.joined(separator: " and ")) after \((ContinuousClock.now - start).seconds.durationText)"
            )
        }
    }

    struct Tunnel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tunnel",
            abstract: "The ssh command that brings Prometheus, Alertmanager and Grafana to this machine.")
        @OptionGroup var options: FleetOptions

        func run() async throws {
            let session = try options.session()
            let (service, node) = try monitoring(session)
            let endpoint = try await session.endpoint(node)
            await session.close()
            guard let endpoint else {
                throw BasculeError(
                    .notBootstrapped, "the node is not there yet", at: .node(name: node.rawValue, subject: nil),
                    hint: "bascule apply")
            }
            let ports = [9090, 9093] + [service.grafana?.port].compactMap { $0 }
            let forwards = ports.map { "-L \($0):127.0.0.1:\($0)" }.joined(separator: " ")
            Terminal.say("ssh -N \(forwards) -p \(endpoint.port) root@\(endpoint.host)")
            Terminal.say("Prometheus http://127.0.0.1:9090, Alertmanager http://127.0.0.1:9093")
            if let port = service.grafana?.port {
                Terminal.say(
                    "Grafana http://127.0.0.1:\(port), user admin; its password stands in /etc/grafana/grafana.ini on the node"
                )
            }
        }
    }
}

/// The declared monitoring and its node.
private func monitoring(_ session: FleetSession) throws -> (Monitoring, NodeName) {
    guard let service = session.fleet.services.monitoring,
        let node = session.fleet.active.nodes(with: .monitoring).first
    else {
        throw BasculeError(
            .notFound, "monitoring is not declared",
            hint: "declare services: {monitoring: {}} and give a node the role monitoring")
    }
    return (service, node)
}
