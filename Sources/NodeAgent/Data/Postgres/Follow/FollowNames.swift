import BasculeModel
import BasculePostgres

/// What following makes at both servers, named after the target database: two migrations from one server never meet,
/// and what a crash left behind is found again.
struct FollowNames {
    /// Twelve hexadecimal digits of the target's system identifier and its database's number.
    let id: String

    init(_ admin: PGConnection) throws {
        do {
            id =
                try admin.query(
                    """
                    SELECT left(md5(system_identifier::text || ':' || d.oid::text), 12)
                    FROM pg_control_system(), pg_database d WHERE d.datname = current_database()
                    """
                ).scalar ?? ""
        } catch { throw error.basculeError("naming what following makes", at: .thing(admin.place)) }
    }

    /// The slot that the subscription reads, and the subscription.
    var slot: String { "bascule_\(id)" }
    /// The slot that tells which rows were touched since the copy was proved.
    var proof: String { "bascule_\(id)_proof" }
    /// For a snapshot at a known position; goes with its connection.
    var passing: String { "bascule_\(id)_now" }
    /// Tables with a replica identity.
    var publication: String { "bascule_\(id)" }
    /// Tables without one: only what is added to them, because publishing more would refuse the source's own updates.
    var inserts: String { "bascule_\(id)_ins" }
    var publications: [String] { [publication, inserts] }
    /// The role that the target's apply worker acts as: it may write the owner's tables and nothing else.
    var role: String { "bascule_follow_\(id)" }
    /// Slot and publication of the target for the way back.
    var back: String { "bascule_\(id)_back" }
}

/// Where following stands, in the ledger of the target.
enum FollowState: Equatable {
    case none
    /// Something may have been made at the source.
    case begun
    case on
    case off(String)

    static func read(_ connection: PGConnection) throws -> FollowState {
        guard try Ledger.exists(connection), let text = try Ledger.value(connection, "follow") else { return .none }
        switch text {
        case "begun": return .begun
        case "on": return .on
        default: return .off(String(text.dropFirst("off: ".count)))
        }
    }

    func write(_ connection: PGConnection) throws {
        switch self {
        case .none: try connection.query("DELETE FROM bascule.move WHERE key = 'follow'")
        case .begun: try Ledger.set(connection, "follow", "begun")
        case .on: try Ledger.set(connection, "follow", "on")
        case .off(let reason): try Ledger.set(connection, "follow", "off: \(reason)")
        }
    }
}

/// A write-ahead log position.
enum WALPosition {
    /// `16/B374D848` as a number; 0 where it is none.
    static func number(_ text: String?) -> UInt64 {
        let parts = (text ?? "").split(separator: "/")
        guard parts.count == 2, let high = UInt64(parts[0], radix: 16), let low = UInt64(parts[1], radix: 16) else {
            return 0
        }
        return high << 32 | low
    }

    static func text(_ number: UInt64) -> String {
        String(number >> 32, radix: 16, uppercase: true) + "/"
            + String(number & 0xffff_ffff, radix: 16, uppercase: true)
    }
}
