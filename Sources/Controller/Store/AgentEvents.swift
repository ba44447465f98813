import BasculeModel
import Foundation
import GRDB

/// Something that an agent did by itself, as it was collected.
package struct CollectedEvent: Sendable, Equatable, Codable {
    package var node: NodeName
    /// Seconds since 1970 by this machine's clock, corrected by what the node's was off; never before the node's
    /// event before it, so that a clock that was set in between changes no order.
    package var time: Double
    package var event: AgentEvent

    package init(node: NodeName, time: Double, event: AgentEvent) {
        (self.node, self.time, self.event) = (node, time, event)
    }
}

/// How far a node's events were collected.
package struct EventMark: Sendable, Equatable {
    /// Grows when an agent begins to count anew.
    package var generation: Int
    /// The newest number that the store has; 0 for none.
    package var sequence: Int

    package init(generation: Int, sequence: Int) { (self.generation, self.sequence) = (generation, sequence) }
}

extension Store {
    /// How far the events of a machine were collected.
    package func eventMark(of node: NodeName, machine: String) throws -> EventMark {
        try read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT generation, max(sequence) AS last FROM agent_event WHERE node = ? AND machine = ?
                    GROUP BY generation ORDER BY generation DESC LIMIT 1
                    """,
                arguments: [node.rawValue, machine])
            return row.map { EventMark(generation: $0["generation"], sequence: $0["last"]) }
                ?? EventMark(generation: 0, sequence: 0)
        }
    }

    /// Adds events of one machine, in the order of their numbers. Harmless to repeat.
    /// - Parameter skew: seconds by which the node's clock is ahead of this machine's.
    package func add(_ events: [AgentEvent], of node: NodeName, machine: String, generation: Int, skew: Double) throws {
        try write("agent-events") { database in
            for event in events {
                try database.execute(
                    sql: """
                        INSERT OR IGNORE INTO agent_event (node, machine, generation, sequence, time, skew, received, body)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        node.rawValue, machine, generation, event.sequence, event.time, skew,
                        Date().timeIntervalSince1970, try Store.json(event),
                    ])
            }
        }
    }

    /// The newest collected events, oldest first; of one node if one is named.
    package func agentEvents(of node: NodeName? = nil, limit: Int) throws -> [CollectedEvent] {
        let rows: [(NodeName, Double, AgentEvent)] = try read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT node, min(time - skew, received) AS time, body FROM agent_event WHERE ? IS NULL OR node = ?
                    ORDER BY id DESC LIMIT ?
                    """,
                arguments: [node?.rawValue, node?.rawValue, limit]
            ).map { (NodeName($0["node"]), $0["time"], try Store.value(AgentEvent.self, $0["body"])) }
        }
        var latest: [NodeName: Double] = [:]
        return rows.reversed().map { node, time, event in
            let placed = max(time, latest[node] ?? time)
            latest[node] = placed
            return CollectedEvent(node: node, time: placed, event: event)
        }
    }
}
