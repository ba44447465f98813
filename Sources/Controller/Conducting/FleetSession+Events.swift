import BasculeModel
import BasculeProtocol
import BasculeStore

extension FleetSession {
    /// Brings what a node's agent noticed and did by itself into the store, each event once. Asks nothing where the
    /// greeting said that there is nothing new.
    /// - Parameter newest: the newest number as the agent told it since; nil for that of the greeting.
    package func collectEvents(_ node: NodeName, newest: Int? = nil) async throws {
        let welcome = try await welcome(node)
        guard let newest = newest ?? welcome.lastEvent, newest > 0 else { return }
        var mark = try store.eventMark(of: node, machine: welcome.machine)
        if newest < mark.sequence {
            // The agent lost its outbox and counts anew.
            mark = EventMark(generation: mark.generation + 1, sequence: 0)
        }
        // An outbox holds no more than some ten thousand events; who tells of more is not worth more of our time.
        for _ in 0..<FleetSession.eventRounds where mark.sequence < newest {
            let request = Request.outbox(from: mark.sequence + 1, limit: FleetSession.eventsAtOnce)
            guard case .outbox(let events) = try await link(node).ask(request) else {
                throw BasculeError(
                    .protocolViolation, "the agent answered something else than its events",
                    at: .node(name: node.rawValue, subject: nil))
            }
            let sound = FleetSession.sound(events, after: mark.sequence)
            guard let last = sound.last else { return }
            try store.add(
                sound, of: node, machine: welcome.machine, generation: mark.generation, skew: skew(of: node) ?? 0)
            mark.sequence = last.sequence
        }
    }

    private static let eventsAtOnce = 1000
    private static let eventRounds = 40

    /// A stranger's list: rising numbers only, no more than asked for, texts within bounds.
    static func sound(_ events: [AgentEvent], after number: Int) -> [AgentEvent] {
        var last = number
        return events.prefix(eventsAtOnce).compactMap { event in
            guard event.sequence > last, event.time.isFinite else { return nil }
            last = event.sequence
            var copy = event
            copy.text = String(event.text.prefix(1000))
            copy.resource = event.resource.map { ResourceID(rawValue: String($0.rawValue.prefix(500))) }
            return copy
        }
    }
}
