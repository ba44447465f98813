import CPostgres

/// Rows of text, copied out of libpq.
package struct PGRows: Sendable {
    package let columns: [String]
    /// A nil is SQL's NULL.
    package let rows: [[String?]]
    /// Rows that an INSERT, UPDATE, DELETE or COPY touched.
    package let affected: Int64

    package var count: Int { rows.count }
    package var isEmpty: Bool { rows.isEmpty }

    /// The first column of the first row.
    package var scalar: String? { rows.first?.first ?? nil }

    /// One cell as text, NULL as the empty string: for columns that the query makes not null.
    package func text(_ row: Int, _ column: Int) -> String { rows[row][column] ?? "" }

    init(_ result: OpaquePointer) {
        let width = cpq_columns(result)
        // The answer to COPY has columns without names.
        columns = (0..<width).map { cpq_column_name(result, $0).map { String(cString: $0) } ?? "" }
        rows = (0..<cpq_rows(result)).map { row in
            (0..<width).map { column in
                guard cpq_is_null(result, row, column) == 0, let bytes = cpq_value(result, row, column) else {
                    return nil
                }
                let raw = UnsafeRawBufferPointer(start: bytes, count: Int(cpq_length(result, row, column)))
                return String(decoding: raw, as: UTF8.self)
            }
        }
        affected = cpq_affected(result).flatMap { Int64(String(cString: $0)) } ?? 0
    }
}
