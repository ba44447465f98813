import BasculeExecution
import BasculeModel
import BasculeProtocol
import FoundationEssentials
import Glibc
import Synchronization

/// The agent's journal: append-only, each record with its checksum, on disk before anybody acts on it.
///
/// A record is one line: CRC-32 of the JSON in eight hexadecimal digits, a space, the JSON. A torn last line, as a power
/// cut leaves it, is cut off when the journal is opened; a damaged line before that is refused.
package final class AgentJournal: Sendable {
    private struct State {
        var descriptor: Int32
        var sequence: Int
        /// Set where the disk refused to keep a record for another reason than being full.
        var broken: BasculeError?
    }

    private let path: String
    private let state: Mutex<State>
    private let clock: @Sendable () -> Double

    /// Opens or creates the journal at `path`; `clock` gives seconds since 1970.
    package init(path: String, clock: @escaping @Sendable () -> Double) throws {
        self.path = path
        self.clock = clock
        let (records, length) = try AgentJournal.scan(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DurableFile.failure("open", path) }
        guard ftruncate(descriptor, off_t(length)) == 0, fsync(descriptor) == 0 else {
            throw DurableFile.failure("repair", path)
        }
        try DurableFile.syncDirectory(of: path)
        state = Mutex(State(descriptor: descriptor, sequence: records.last?.sequence ?? 0))
    }

    deinit { state.withLock { _ = close($0.descriptor) } }

    /// The newest record's number.
    package var lastSequence: Int { state.withLock { $0.sequence } }

    /// Appends one event and returns when it is on disk.
    package func append(_ event: ExecutionEvent, to segment: SegmentID) throws -> JournalRecord {
        try state.withLock { state in
            if let broken = state.broken { throw broken }
            Failpoint.hit("agent.journal.write.before")
            let record = JournalRecord(sequence: state.sequence + 1, time: clock(), segment: segment, event: event)
            let json = try Wire.encode(record)
            let line = Array(CRC32.text(of: json).utf8) + [0x20] + json + [0x0A]
            let start = lseek(state.descriptor, 0, SEEK_END)
            do {
                try DurableFile.writeAll(line, to: state.descriptor, path: path)
                Failpoint.hit("agent.journal.fsync.before")
                guard fdatasync(state.descriptor) == 0 else { throw DurableFile.failure("flush", path) }
            } catch {
                // A half line would make the next one unreadable.
                _ = ftruncate(state.descriptor, start)
                let failure = BasculeError.wrapping(error, "the journal could not be written")
                // The kernel forgets what a failed flush lost, and the next flush would succeed: no second try.
                if failure.code != .diskFull { state.broken = failure.leavingJournal() }
                throw state.broken ?? failure
            }
            state.sequence += 1
            Failpoint.hit("agent.journal.fsync.after")
            return record
        }
    }

    /// Records from a sequence number on, at most `limit`; of one segment if one is named.
    package func records(from first: Int = 1, limit: Int = .max, of segment: SegmentID? = nil) throws -> [JournalRecord]
    {
        let all = try AgentJournal.scan(path).records
        return Array(
            all.lazy.filter { $0.sequence >= first && (segment == nil || $0.segment == segment) }.prefix(limit))
    }

    /// Reads a journal: its records and the length of its intact part in bytes.
    private static func scan(_ path: String) throws -> (records: [JournalRecord], length: Int) {
        guard let bytes = try DurableFile.read(path) else { return ([], 0) }
        var records: [JournalRecord] = []
        var start = 0
        while start < bytes.count {
            guard let end = bytes[start...].firstIndex(of: 0x0A) else { break }
            let line = bytes[start..<end]
            guard line.count > 9, line[start + 8] == 0x20,
                CRC32.text(of: Array(line.dropFirst(9))) == String(decoding: line.prefix(8), as: UTF8.self)
            else {
                if bytes[(end + 1)...].contains(0x0A) {
                    throw BasculeError(
                        .inputOutput, "the agent's journal \(path) is damaged at byte \(start)",
                        hint: "the disk changed what was written; move the journal away and bootstrap the node again")
                }
                break
            }
            records.append(try Wire.decode(JournalRecord.self, from: Array(line.dropFirst(9))))
            start = end + 1
        }
        return (records, start)
    }
}

extension BasculeError {
    /// The same with what follows from it for the agent.
    fileprivate func leavingJournal() -> BasculeError {
        BasculeError(
            code, "\(message): this agent does nothing more until it is started again", at: place, cause: cause,
            hint: "look at dmesg on the node and mend the disk, then: systemctl restart bascule-agent")
    }
}

/// CRC-32 (IEEE 802.3), for torn and damaged lines; not against forgery.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    /// Eight lower-case hexadecimal digits.
    static func text(of bytes: [UInt8]) -> String {
        let sum = ~bytes.reduce(~UInt32(0)) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ ($0 >> 8) }
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
