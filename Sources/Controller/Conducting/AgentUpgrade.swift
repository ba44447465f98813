import BasculeModel
import BasculeProtocol
import Foundation
import Synchronization

extension ErrorCode {
    /// A new agent did not come up within its trial, and the node went back to the previous one by itself.
    package static let agentRolledBack: ErrorCode = "agent-rolled-back"
}

/// Brings a node's agent to the one beside this program; it stays only if it can be reached and asked.
package struct AgentUpgrade: Sendable {
    package let session: FleetSession
    /// How long the new agent has to come up and be greeted.
    package let trial: Duration
    package let say: @Sendable (String) -> Void

    package init(session: FleetSession, trial: Duration, say: @escaping @Sendable (String) -> Void) {
        (self.session, self.trial, self.say) = (session, trial, say)
    }

    /// Digests of the agents beside this program, by architecture: they are hashed once.
    private static let own = Mutex<[String: Digest]>([:])

    /// Whether a node's agent is another one than that beside this program; nil where it cannot be told.
    package static func isDue(_ node: NodeName, _ session: FleetSession) async -> Bool? {
        guard let link = try? await session.link(node),
            let architecture = try? await session.welcome(node).architecture,
            case .digests(let running)? = try? await link.ask(.program), let running = running.first
        else { return nil }
        let known = own.withLock { $0[architecture] }
        guard let wanted = known ?? (try? Bootstrap.program(for: architecture)).map({ Digest(of: $0) }) else {
            return nil
        }
        own.withLock { $0[architecture] = wanted }
        return running != wanted
    }

    /// Throws `agent-rolled-back` where the node went back to the agent that it had.
    package func run(_ node: NodeName) async throws {
        let link = try await session.link(node)
        let bytes = try Bootstrap.program(for: try await session.welcome(node).architecture)
        let wanted = Digest(of: bytes)
        guard try await program(link) != wanted else { return say("has this agent already") }
        if case .digests(let missing) = try await link.ask(.missingBlobs([wanted])), !missing.isEmpty {
            say("uploading the agent (\(bytes.count.bytesText))")
            try await link.upload(.bytes(bytes), as: wanted)
        }
        let seconds = trial / .seconds(1)
        guard case .accepted = try await link.ask(.upgrade(wanted, trial: seconds)) else {
            throw BasculeError(.protocolViolation, "the agent did not answer the upgrade")
        }
        say("the new agent is on trial for \(seconds.durationText)")
        await session.drop(node)
        try await keep(wanted, on: node)
        say("the new agent answers and is kept")
        var record = try session.store.node(node)
        record.agent = try await session.welcome(node).product
        try session.store.save(record)
    }

    private func keep(_ wanted: Digest, on node: NodeName) async throws {
        let began = ContinuousClock.now
        var pause = Duration.milliseconds(400)
        var last: BasculeError?
        // The previous one needs a moment to come back too; whoever answers after the trial is it.
        while ContinuousClock.now - began < trial + .seconds(15) {
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(4))
            do {
                let link = try await session.link(node)
                if try await program(link) == wanted {
                    _ = try await link.ask(.keepProgram(wanted))
                    return
                }
                // The old one ends itself right after its answer: who answers later is the one that came back.
                if ContinuousClock.now - began > .seconds(1) { break }
            } catch let error as BasculeError { last = error }
            await session.drop(node)
        }
        throw BasculeError(
            .agentRolledBack, "the new agent did not come up; the node has its previous one back",
            at: .node(name: node.rawValue, subject: nil), cause: last.map { "\($0.message) [\($0.code)]" },
            hint: "on the node: journalctl -u bascule-agent says what it said")
    }

    private func program(_ link: NodeLink) async throws -> Digest? {
        guard case .digests(let digests) = try await link.ask(.program) else {
            throw BasculeError(.protocolViolation, "the agent did not say which program it is")
        }
        return digests.first
    }
}
