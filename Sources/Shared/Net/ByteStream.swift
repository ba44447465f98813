import BasculeModel

/// A connection that carries bytes both ways. Calls block the calling thread until done or until their deadline.
///
/// One thread may read while another writes; two readers, or two writers, need a lock of their own.
/// Every failure is a `BasculeError`: `timed-out`, `connection-closed`, `input-output`, `tls-failed`, ….
/// After an error the stream is good for nothing but `close()`.
package protocol ByteStream: AnyObject, Sendable {
    /// Who is at the other end, for messages.
    var peer: String { get }

    /// At least one byte and at most `buffer.count`; 0 only when the peer has ended its side properly.
    func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline) throws -> Int

    /// All of the bytes, or an error.
    func write(_ bytes: UnsafeRawBufferPointer, deadline: Deadline) throws

    /// Ends the connection and wakes whoever waits on it. May be called from any thread, and twice.
    func close()
}

extension ByteStream {
    /// At least one byte and at most `max`; empty only at the end of the stream.
    package func read(max: Int, deadline: Deadline) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: max) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer), deadline: deadline)
        }
    }

    /// Exactly so many bytes; `connection-closed` if the stream ends before.
    package func read(exactly count: Int, deadline: Deadline) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<count])
                let more = try read(into: rest, deadline: deadline)
                guard more > 0 else { throw endedEarly(wanted: count, got: filled) }
                filled += more
            }
        }
    }

    /// All of the bytes, or an error.
    package func write(_ bytes: some Sequence<UInt8>, deadline: Deadline) throws {
        try Array(bytes).withUnsafeBytes { try write($0, deadline: deadline) }
    }

    private func endedEarly(wanted: Int, got: Int) -> BasculeError {
        BasculeError(.connectionClosed, "The peer closed after \(got) of \(wanted) bytes", at: .thing(peer))
    }
}
