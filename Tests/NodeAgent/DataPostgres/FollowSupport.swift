import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Synchronization
import Testing

extension Pair {
    func follow(_ task: PostgresFollowTask) throws -> PostgresFollowReport {
        guard case .followed(let report) = try run(.follow(task, move)) else { throw Unexpected() }
        return report
    }

    func capture() throws -> PostgresFence {
        guard case .captured(let fence) = try run(.fenceCapture(move)) else { throw Unexpected() }
        return fence
    }

    /// Names of our slots and publications at a server.
    func leftovers(_ cluster: Cluster) throws -> [String] {
        try cluster.connect(name).query(
            """
            SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()
            UNION ALL SELECT pubname::text FROM pg_publication
            UNION ALL SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE d.datname = current_database()
            """
        ).rows.compactMap { $0[0] }
    }
}

/// A customer's program: writes to a shop as the role `app` until it is refused, and remembers what was accepted.
final class Writer: Sendable {
    static let schema = """
        CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL, total numeric(10,2), note text,
            changed timestamptz DEFAULT clock_timestamp(), twice numeric GENERATED ALWAYS AS (total * 2) STORED);
        CREATE TABLE lines (order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE, place int NOT NULL,
            what text NOT NULL, PRIMARY KEY (order_id, place));
        CREATE TABLE log (at timestamptz DEFAULT clock_timestamp(), what text);
        CREATE TABLE days (day date NOT NULL, n int NOT NULL, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
        CREATE TABLE days_a PARTITION OF days FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE days_b PARTITION OF days FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
        CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
        CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(total) AS total FROM orders;
        INSERT INTO orders (customer, total, note) SELECT i % 97, i, repeat('é', i % 50) FROM generate_series(1, 5000) i;
        INSERT INTO lines SELECT i, 1, 'thing ' || i FROM generate_series(1, 5000) i;
        INSERT INTO log (what) SELECT 'old' FROM generate_series(1, 100);
        INSERT INTO days SELECT '2020-06-01', i FROM generate_series(1, 100) i;
        ALTER TABLE orders OWNER TO shop; ALTER TABLE lines OWNER TO shop; ALTER TABLE log OWNER TO shop;
        ALTER TABLE days OWNER TO shop; ALTER TABLE days_a OWNER TO shop; ALTER TABLE days_b OWNER TO shop;
        ALTER TABLE scratch OWNER TO shop; ALTER MATERIALIZED VIEW totals OWNER TO shop;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
        """

    private let state = Mutex((accepted: Set<String>(), last: 0.0, refused: false, count: 0))
    private let stopping = Atomic(false)
    private let ended = Atomic(false)

    /// `connect` is asked again where a server went away.
    init(pause: UInt32 = 2000, untilRefused: Bool = true, _ connect: @escaping @Sendable () throws -> PGConnection) {
        Thread.detachNewThread { [self] in
            var connection = try? connect()
            var number = 0
            while !stopping.load(ordering: .relaxed) {
                number += 1
                do {
                    guard let open = connection else { throw Unexpected() }
                    let id =
                        try open.query(
                            """
                            WITH o AS (INSERT INTO orders (customer, total, note) VALUES ($1::int, 7.5, 'new')
                                RETURNING id), l AS (INSERT INTO lines SELECT id, 1, 'x' FROM o)
                            SELECT id FROM o
                            """, ["\(number)"]
                        ).scalar ?? ""
                    state.withLock { _ = $0.accepted.insert(id) }
                    try open.query("UPDATE orders SET note = note || '!', total = total + 1 WHERE id = $1::int8", [id])
                    try open.query("UPDATE orders SET customer = -1 WHERE id = $1::int8 - 3000", [id])
                    try open.query("DELETE FROM lines WHERE order_id = $1::int8 - 4000", [id])
                    if number % 7 == 0 { try open.query("INSERT INTO log (what) VALUES ('new')") }
                    if number % 5 == 0 {
                        try open.query("INSERT INTO days VALUES ('2021-03-03', $1::int)", ["\(number)"])
                    }
                    state.withLock {
                        $0.last = Date().timeIntervalSinceReferenceDate
                        $0.count += 1
                    }
                } catch let error as PGError where error.state == "42501" || error.state == "25006" {
                    state.withLock { $0.refused = true }
                    if untilRefused { break }
                    usleep(2000)
                } catch {
                    usleep(20_000)
                    connection = try? connect()
                }
                usleep(pause)
            }
            ended.store(true, ordering: .relaxed)
        }
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        while !ended.load(ordering: .relaxed) { usleep(5000) }
    }

    var accepted: Set<String> { state.withLock { $0.accepted } }
    var count: Int { state.withLock { $0.count } }
    /// Seconds of the reference date.
    var lastAccepted: Double { state.withLock { $0.last } }
    var wasRefused: Bool { state.withLock { $0.refused } }

    /// Waits for so many more writes.
    func wrote(_ more: Int) {
        let goal = count + more
        let until = Date().addingTimeInterval(20)
        while count < goal, Date() < until { usleep(5000) }
    }
}
