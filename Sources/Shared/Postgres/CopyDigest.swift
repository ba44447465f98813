import CPostgres

/// The digest of the rows that go through a COPY, equal to what the server computes with
/// `hash_array_extended(ARRAY[sha256(record_send(ROW(…)))], seed)` added up over the rows.
package final class CopyDigest {
    let state: UnsafeMutablePointer<cpq_digest>
    private let types: UnsafeMutablePointer<UInt32>

    /// For COPY's binary format with `types`, the columns' types in their order; for its text format, in which each
    /// counts as text, with `isText`. nil where this machine cannot digest (no libcrypto). `seeds`: two.
    package init?(types columns: [UInt32], isText: Bool, seeds: [Int64]) {
        guard cpq_can_digest() == 1, seeds.count == 2 else { return nil }
        types = .allocate(capacity: max(1, columns.count))
        for (index, column) in columns.enumerated() { types[index] = column }
        state = .allocate(capacity: 1)
        state.initialize(to: cpq_digest())
        state.pointee.types = UnsafePointer(types)
        state.pointee.columns = Int32(columns.count)
        state.pointee.is_text = isText ? 1 : 0
        state.pointee.seeds = (seeds[0], seeds[1])
    }

    deinit {
        cpq_digest_end(state)
        state.deallocate()
        types.deallocate()
    }

    /// Rows and the two sums; nil when the stream was not framed as known.
    package var sums: (rows: Int64, first: Int128, second: Int128)? {
        let now = state.pointee
        guard now.failed == 0 else { return nil }
        return (
            now.rows, (Int128(now.high.0) << 64) + Int128(now.low.0), (Int128(now.high.1) << 64) + Int128(now.low.1)
        )
    }
}
