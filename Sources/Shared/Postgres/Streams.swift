import CPostgres
import Glibc

extension PGConnection {
    /// Runs `COPY … FROM STDIN` fed by `body`, which is given a function that sends bytes. Gives the rows that the server
    /// counted. Throws `PGError` for what the server refused, or what `body` threw; the transaction is then failed.
    package func load(
        _ into: String, _ body: (@escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> Int64 {
        try query(into)
        do {
            try body { [self] bytes in
                guard let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
                guard cpq_put_copy(handle, base, Int32(bytes.count)) == 1 else { throw connectionError() }
            }
        } catch {
            // The server's own complaint about a row is the better news than a broken pipe.
            let said = finishCopyIn(reason: "the copy was given up")
            if error is PGError, let said, said.state != "57014" { throw said }
            throw error
        }
        guard cpq_put_copy_end(handle, nil) == 1 else { throw connectionError() }
        guard let result = cpq_next_result(handle) else { throw connectionError() }
        do {
            let copied = try rows(of: result).affected
            if let error = drain() { throw error }
            return copied
        } catch {
            _ = drain()
            throw error
        }
    }

    /// Runs `COPY … TO STDOUT` and gives its rows, each with its line feed, in chunks of whole rows.
    package func unload(_ out: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try query(out)
        let goal = 128 * 1024
        var capacity = goal * 2
        var buffer = malloc(capacity)?.assumingMemoryBound(to: CChar.self)
        defer { free(buffer) }
        do {
            var end: Int32 = 0
            repeat {
                var rows: Int64 = 0
                let used = cpq_copy_chunk(handle, &buffer, &capacity, goal, &rows, &end, nil)
                try body(UnsafeRawBufferPointer(start: buffer, count: used))
            } while end == 0
            if let error = drain() { throw error }
            guard end == 1 else { throw connectionError() }
        } catch {
            if !(error is PGError) { abandonCopyOut() }
            throw error
        }
    }
}
