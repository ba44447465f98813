import BasculeModel
import BasculePostgres
import Glibc

/// Replication slots of one server, by SQL.
struct Slots {
    let connection: PGConnection

    struct View {
        var active: Bool
        /// Bytes of WAL that it keeps.
        var retained: Int64
        /// The server took its WAL away.
        var isLost: Bool
        var confirmed: UInt64
    }

    func view(_ name: String) throws -> View? {
        let lost = connection.majorVersion >= 13 ? "coalesce(wal_status = 'lost', false)" : "false"
        let rows = try connection.query(
            """
            SELECT active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8, \(lost),
                confirmed_flush_lsn
            FROM pg_replication_slots WHERE slot_name = $1
            """, [name])
        return rows.rows.first.map {
            View(
                active: $0[0] == "t", retained: number($0[1]), isLost: $0[2] == "t",
                confirmed: WALPosition.number($0[3]))
        }
    }

    /// Drops a slot, ending whoever reads it; one that is not there is fine.
    func drop(_ name: String) throws {
        for attempt in 0..<50 {
            let rows = try connection.query(
                "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", [name])
            guard let row = rows.rows.first else { return }
            if let pid = row[0] { _ = try? connection.query("SELECT pg_terminate_backend($1::int4)", [pid]) }
            do {
                try connection.query("SELECT pg_drop_replication_slot($1)", [name])
                return
            } catch {
                // Its reader has not let go yet, or somebody else was faster.
                guard error.state == "55006" || error.state == "42704", attempt < 49 else { throw error }
                usleep(100_000)
            }
        }
    }

    func dropPublication(_ name: String) throws {
        try connection.script("SET client_min_messages = error; DROP PUBLICATION IF EXISTS \(name)")
    }

    /// Where the WAL ends, with all of it flushed and something behind it, so that a reader of the WAL gets there.
    func mark() throws -> UInt64 {
        let end = try connection.query("SELECT pg_current_wal_insert_lsn()").scalar
        try connection.query("SELECT pg_logical_emit_message(true, 'bascule', '')")
        return WALPosition.number(end)
    }
}

/// A snapshot of the source at a known position of its WAL: what committed before is in it, nothing else.
final class PlacedSnapshot {
    let name: String
    let position: String
    /// The snapshot lives until this connection gets its next command.
    private let sender: PGConnection

    /// Makes a slot. A passing one goes with the connection. Waits for the transactions that write now, at most a minute.
    init(_ sides: Sides, slot: String, passing: Bool) throws {
        sender = try PGConnection(.conninfo(sides.secret), application: Sides.application, replication: true)
        do {
            let rows = try Self.patiently(sender) { sender throws(PGError) in
                try sender.script(
                    "CREATE_REPLICATION_SLOT \(slot) \(passing ? "TEMPORARY " : "")LOGICAL pgoutput EXPORT_SNAPSHOT")
            }
            position = rows.rows.first?[1] ?? ""
            name = rows.rows.first?[2] ?? ""
        } catch {
            throw error.basculeError(
                "making a replication slot", at: .thing(sender.place),
                hint: "A transaction that stays open for minutes holds it up: end it, or follow: never.")
        }
    }

    private static func patiently(
        _ sender: PGConnection, _ body: (PGConnection) throws(PGError) -> PGRows
    ) throws(PGError) -> PGRows {
        let done = MoveFlag()
        let canceller = sender.canceller
        MoveThread.detach {
            let until = MoveClock.now() + 60
            while !done.isSet, MoveClock.now() < until { usleep(100_000) }
            if !done.isSet { canceller.cancel() }
        }
        defer { done.set() }
        return try body(sender)
    }
}

/// A thread of its own for something that blocks.
enum MoveThread {
    static func detach(_ body: @escaping @Sendable () -> Void) {
        let opaque = Unmanaged.passRetained(Body(body)).toOpaque()
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, opaque)
        if code == 0 { pthread_detach(thread) } else { Unmanaged<Body>.fromOpaque(opaque).release() }
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
