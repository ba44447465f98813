import BasculeModel
import CPostgres
import Glibc

/// What a finished COPY moved.
package struct CopyCount: Hashable, Sendable {
    package var rows: Int64
    package var bytes: Int64
    package init(rows: Int64 = 0, bytes: Int64 = 0) {
        self.rows = rows
        self.bytes = bytes
    }
}

/// Which side of a copy failed, and with what.
package struct CopyFailure: Error, Sendable {
    package enum Side: String, Sendable { case source, target }
    package var side: Side
    package var error: PGError
}

extension PGConnection {
    /// Streams `COPY … TO STDOUT` of `source` into `COPY … FROM STDIN` of this connection, in chunks of about
    /// `chunk` bytes. `tick` gets what has gone through since the last call and throws to stop. Throws `CopyFailure`,
    /// or what `tick` threw; the target's transaction is then failed and to be rolled back by the caller. `digest` gets
    /// every row as it passes.
    package func copy(
        from source: PGConnection, out: String, in into: String, chunk: Int = 256 * 1024,
        digest: CopyDigest? = nil, tick: (CopyCount) throws -> Void
    ) throws -> CopyCount {
        do { try source.query(out) } catch { throw CopyFailure(side: .source, error: error) }
        do { try query(into) } catch {
            source.abandonCopyOut()
            throw CopyFailure(side: .target, error: error)
        }
        var capacity = chunk * 2
        var buffer = malloc(capacity)?.assumingMemoryBound(to: CChar.self)
        defer { free(buffer) }
        var total = CopyCount()
        do {
            var end: Int32 = 0
            repeat {
                var rows: Int64 = 0
                let used = cpq_copy_chunk(source.handle, &buffer, &capacity, chunk, &rows, &end, digest?.state)
                if used > 0 {
                    guard cpq_put_copy(handle, buffer, Int32(used)) == 1 else {
                        throw CopyFailure(side: .target, error: finishCopyIn(reason: nil) ?? connectionError())
                    }
                }
                total.bytes += Int64(used)
                if end == 0 { try tick(CopyCount(rows: rows, bytes: Int64(used))) }
            } while end == 0
            if let error = source.drain() { throw CopyFailure(side: .source, error: error) }
            guard end == 1 else { throw CopyFailure(side: .source, error: source.connectionError()) }
        } catch {
            // The target's own complaint (a row that it refuses) is the better news than a broken pipe.
            let said = finishCopyIn(reason: "the copy was given up")
            source.abandonCopyOut()
            if let failure = error as? CopyFailure, failure.side == .source, let said,
                said.state != "57014" && failure.error.state == "08006"
            {
                throw CopyFailure(side: .target, error: said)
            }
            throw error
        }
        guard cpq_put_copy_end(handle, nil) == 1 else { throw CopyFailure(side: .target, error: connectionError()) }
        total.rows = try countCopied()
        return total
    }

    private func countCopied() throws -> Int64 {
        do {
            guard let result = cpq_next_result(handle) else { throw connectionError() }
            let copied = try rows(of: result).affected
            if let error = drain() { throw error }
            return copied
        } catch let error as PGError {
            _ = drain()
            throw CopyFailure(side: .target, error: error)
        }
    }

    /// Reads the rest of the running command's results; the first error among them.
    func drain() -> PGError? {
        var first: PGError?
        while let result = cpq_next_result(handle) {
            let status = Int(cpq_status(result))
            let broken = status == CPQ_COPY_IN || status == CPQ_COPY_OUT
            if status == CPQ_FATAL_ERROR, first == nil { first = error(of: result) }
            cpq_clear(result)
            // A connection that stays in COPY answers the same for ever.
            if broken { break }
        }
        return first
    }

    func finishCopyIn(reason: String?) -> PGError? {
        _ = cpq_put_copy_end(handle, reason)
        return drain()
    }

    func abandonCopyOut() {
        canceller.cancel()
        var capacity = 64 * 1024
        var buffer = malloc(capacity)?.assumingMemoryBound(to: CChar.self)
        defer { free(buffer) }
        var end: Int32 = 0
        repeat {
            var rows: Int64 = 0
            _ = cpq_copy_chunk(handle, &buffer, &capacity, capacity / 2, &rows, &end, nil)
        } while end == 0
        _ = drain()
    }
}

extension PGConnection {
    /// Streams `COPY … TO STDOUT` to `write`, in chunks of about `chunk` bytes; `write` throws to stop. Throws
    /// `CopyFailure`, or what `write` threw.
    package func copyOut(
        _ sql: String, chunk: Int = 256 * 1024, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> CopyCount {
        do { try query(sql) } catch { throw CopyFailure(side: .source, error: error) }
        var capacity = chunk * 2
        var buffer = malloc(capacity)?.assumingMemoryBound(to: CChar.self)
        defer { free(buffer) }
        var total = CopyCount()
        var end: Int32 = 0
        repeat {
            var rows: Int64 = 0
            let used = cpq_copy_chunk(handle, &buffer, &capacity, chunk, &rows, &end, nil)
            do { try write(UnsafeRawBufferPointer(start: buffer, count: used)) } catch {
                abandonCopyOut()
                throw error
            }
            total.rows += rows
            total.bytes += Int64(used)
        } while end == 0
        if let error = drain() { throw CopyFailure(side: .source, error: error) }
        guard end == 1 else { throw CopyFailure(side: .source, error: connectionError()) }
        return total
    }
}
