import BasculeModel
import Foundation
import GRDB

/// What the store knows of a node.
package struct NodeRecord: Sendable, Equatable {
    package var name: NodeName
    /// The machine's identity, as its agent told it at the bootstrap; nil before.
    package var machine: String?
    /// Pinned host keys, as `type base64`.
    package var hostKeys: [String] = []
    /// Hexadecimal.
    package var sealingKey: String?
    package var architecture: String?
    package var address: String?
    package var port: Int?
    /// The agent's version.
    package var agent: String?
    /// Tag of the secrets that it was given last.
    package var secretsTag: String?

    package init(name: NodeName) { self.name = name }
}

/// One run, for `bascule history`.
package struct RunRecord: Sendable, Equatable, Codable {
    package var id: RunID
    package var plan: PlanID
    /// Seconds since 1970.
    package var started: Double
    package var ended: Double?
    /// `converged`, `stopped`, `rolled-back`, `failed`; `interrupted` where its controller was killed; nil while it runs,
    /// and until the next run has seen that its controller was killed.
    package var outcome: String?
    package var through: String?
    package var summary: String?
}

extension Store {
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func value<T: Decodable>(_ type: T.Type, _ text: String) throws -> T {
        do { return try JSONDecoder().decode(type, from: Data(text.utf8)) } catch {
            throw BasculeError(
                .storeDamaged, "the store holds something that this version cannot read", cause: "\(error)",
                hint: "was it written by a newer bascule?")
        }
    }

    // MARK: - Nodes

    /// A node as it was recorded; a fresh record where it is not known.
    package func node(_ name: NodeName) throws -> NodeRecord {
        try read { database in
            guard
                let row = try Row.fetchOne(
                    database, sql: "SELECT * FROM node WHERE name = ?", arguments: [name.rawValue])
            else { return NodeRecord(name: name) }
            var record = NodeRecord(name: name)
            record.machine = row["machine"]
            record.hostKeys = try Store.value([String].self, row["host_keys"])
            record.sealingKey = row["sealing_key"]
            record.architecture = row["architecture"]
            record.address = row["address"]
            record.port = row["port"]
            record.agent = row["agent"]
            record.secretsTag = row["secrets_tag"]
            return record
        }
    }

    /// Saves a node's record whole.
    package func save(_ node: NodeRecord) throws {
        try write("node") {
            try $0.execute(
                sql: """
                    INSERT INTO node (name, machine, host_keys, sealing_key, architecture, address, port, agent, seen, secrets_tag)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET machine = excluded.machine, host_keys = excluded.host_keys,
                        sealing_key = excluded.sealing_key, architecture = excluded.architecture, address = excluded.address,
                        port = excluded.port, agent = excluded.agent, seen = excluded.seen, secrets_tag = excluded.secrets_tag
                    """,
                arguments: [
                    node.name.rawValue, node.machine, try Store.json(node.hostKeys), node.sealingKey, node.architecture,
                    node.address, node.port,
                    node.agent, Date().timeIntervalSince1970, node.secretsTag,
                ])
        }
    }

    /// Forgets a node, and how far it was counted.
    package func forget(_ name: NodeName) throws {
        try write("node.forget") { database in
            try database.execute(sql: "DELETE FROM node WHERE name = ?", arguments: [name.rawValue])
            try database.execute(sql: "DELETE FROM setting WHERE name = ?", arguments: ["serial/\(name)"])
            for kind in ["state", "sealing"] {
                try database.execute(
                    sql: "DELETE FROM setting WHERE name = ?", arguments: ["rotation/\(kind)/\(name)"])
            }
        }
    }

    // MARK: - Plans and runs

    /// Saves a plan; it never changes afterwards.
    package func save(_ plan: Plan) throws {
        try write("plan") {
            try $0.execute(
                sql: "INSERT OR IGNORE INTO plan VALUES (?, ?, ?)",
                arguments: [plan.id.rawValue, plan.created, try Store.json(plan)])
        }
    }

    /// A saved plan. Throws `not-found`.
    package func plan(_ id: PlanID) throws -> Plan {
        guard
            let body = try read({
                try String.fetchOne($0, sql: "SELECT body FROM plan WHERE id = ?", arguments: [id.rawValue])
            })
        else {
            throw BasculeError(
                .notFound, "the store has no plan \(id)", hint: "bascule history lists the plans that ran")
        }
        return try Store.value(Plan.self, body)
    }

    /// Begins a run.
    package func begin(_ run: RunID, of plan: PlanID, through: String?) throws {
        try write("run.begin") {
            try $0.execute(
                sql: "INSERT OR IGNORE INTO run (id, plan, started, through) VALUES (?, ?, ?, ?)",
                arguments: [run.rawValue, plan.rawValue, Date().timeIntervalSince1970, through])
        }
    }

    /// Ends a run.
    package func end(_ run: RunID, outcome: String, summary: String) throws {
        try write("run.end") {
            try $0.execute(
                sql: "UPDATE run SET ended = ?, outcome = ?, summary = ? WHERE id = ?",
                arguments: [Date().timeIntervalSince1970, outcome, summary, run.rawValue])
        }
    }

    /// Ends the runs whose controller was killed. Only for who holds the lease: nobody else runs one then.
    package func endInterruptedRuns() throws {
        guard try read({ try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM run WHERE ended IS NULL)") }) == true
        else { return }
        try write("run.interrupted") {
            try $0.execute(
                sql: "UPDATE run SET ended = ?, outcome = 'interrupted', summary = ? WHERE ended IS NULL",
                arguments: [
                    Date().timeIntervalSince1970,
                    "its controller was killed; a later run took up what it had handed out",
                ])
        }
    }

    /// The newest runs first.
    package func runs(limit: Int = 50) throws -> [RunRecord] {
        try read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM run ORDER BY started DESC LIMIT ?", arguments: [limit]).map {
                RunRecord(
                    id: RunID($0["id"]), plan: PlanID($0["plan"]), started: $0["started"], ended: $0["ended"],
                    outcome: $0["outcome"],
                    through: $0["through"], summary: $0["summary"])
            }
        }
    }

    // MARK: - Segments and events

    /// Notes a segment before it is sent.
    package func save(_ segment: Segment) throws {
        try write("segment") {
            try $0.execute(
                sql: "INSERT OR IGNORE INTO segment (id, run, node, serial, body, sent) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    segment.id.rawValue, segment.run.rawValue, segment.node.rawValue, segment.serial,
                    try Store.json(segment), Date().timeIntervalSince1970,
                ])
        }
    }

    /// Notes how a segment ended.
    package func end(_ segment: SegmentID, _ outcome: SegmentOutcome) throws {
        try write("segment.end") {
            try $0.execute(
                sql: "UPDATE segment SET outcome = ? WHERE id = ?",
                arguments: [try Store.json(outcome), segment.rawValue])
        }
    }

    /// The segments of a run, in the order in which they were sent, each with its outcome if it has ended.
    package func segments(of run: RunID) throws -> [(segment: Segment, outcome: SegmentOutcome?)] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT body, outcome FROM segment WHERE run = ? ORDER BY serial",
                arguments: [run.rawValue]
            ).map { row in
                let outcome: String? = row["outcome"]
                return (
                    try Store.value(Segment.self, row["body"]),
                    try outcome.map { try Store.value(SegmentOutcome.self, $0) }
                )
            }
        }
    }

    /// The newest segment that was sent to a node and is not known to have ended.
    package func openSegments() throws -> [Segment] {
        try read { database in
            try String.fetchAll(database, sql: "SELECT body FROM segment WHERE outcome IS NULL ORDER BY serial").map {
                try Store.value(Segment.self, $0)
            }
        }
    }

    /// Adds an agent's journal record to the history. Harmless to repeat.
    package func add(_ record: JournalRecord, of run: RunID, node: NodeName) throws {
        // The accepted segment is in its own table already.
        if case .accepted = record.event { return }
        try write("event") { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    run.rawValue, node.rawValue, record.sequence, record.time, record.segment.rawValue,
                    try Store.json(record.event),
                ])
            if case .finished(let step, let result) = record.event {
                for evidence in result.evidence {
                    try database.execute(
                        sql: "INSERT OR IGNORE INTO evidence (run, step, time, body) VALUES (?, ?, ?, ?)",
                        arguments: [run.rawValue, step.rawValue, evidence.time, try Store.json(evidence)])
                }
            }
        }
    }

    /// The events of a run in the order in which they were told: each node's by its own sequence, whatever its clock
    /// says.
    package func events(of run: RunID) throws -> [(node: NodeName, time: Double, event: ExecutionEvent)] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT node, time, body FROM event WHERE run = ? ORDER BY rowid",
                arguments: [run.rawValue]
            ).map {
                (NodeName($0["node"]), $0["time"], try Store.value(ExecutionEvent.self, $0["body"]))
            }
        }
    }

    /// The evidence of a run, oldest first.
    package func evidence(of run: RunID) throws -> [Evidence] {
        try read { database in
            try String.fetchAll(
                database, sql: "SELECT body FROM evidence WHERE run = ? ORDER BY time, id", arguments: [run.rawValue]
            ).map {
                try Store.value(Evidence.self, $0)
            }
        }
    }
}

extension Store {
    /// What a node said it is, when it was last asked; nil before.
    package func facts(_ name: NodeName) throws -> NodeFacts? {
        guard
            let text = try read({
                try String.fetchOne($0, sql: "SELECT facts FROM node WHERE name = ?", arguments: [name.rawValue])
            })
        else { return nil }
        return try Store.value(NodeFacts.self, text)
    }

    /// Keeps what a node said it is.
    package func save(_ facts: NodeFacts, of name: NodeName) throws {
        try write("facts") {
            try $0.execute(
                sql:
                    "INSERT INTO node (name, facts) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET facts = excluded.facts",
                arguments: [name.rawValue, try Store.json(facts)])
        }
    }
}
