import BasculeModel
import CLibSSH2

/// Keeps the last bytes of a stream: the end of a flood is what explains it.
struct Tail {
    private(set) var bytes: [UInt8] = []
    private(set) var dropped = 0
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func append(_ more: UnsafeRawBufferPointer) {
        bytes += more
        if bytes.count > 2 * limit { trim() }
    }

    mutating func trim() {
        guard bytes.count > limit else { return }
        dropped += bytes.count - limit
        bytes.removeFirst(bytes.count - limit)
    }
}

/// One channel. Touched only on the loop's thread. Its session frees the handle, at the latest with itself.
final class Channel: @unchecked Sendable {
    /// nil once freed.
    var handle: OpaquePointer?
    var stderr = Tail(limit: 64 << 10)
    /// A write was given up in the middle: libssh2 may hold the rest of it, so nothing may be written any more.
    var broken = false
    var sentEOF = false
    let writing: TaskGate
    private let scratch: UnsafeMutableRawBufferPointer

    init(handle: OpaquePointer, loop: SSHLoop) {
        self.handle = handle
        writing = TaskGate(loop: loop)
        scratch = loop.scratch
    }

    /// Reads stderr until there is none: left unread, it fills the window and the command hangs.
    func drainStderr() -> Int {
        var total = 0
        while let handle, total < 4 << 20 {
            let count = libssh2_channel_read_ex(
                handle, Int32(SSH_EXTENDED_DATA_STDERR), scratch.baseAddress, scratch.count)
            guard count > 0 else { break }
            stderr.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            total += count
        }
        return total
    }

    /// Reads what there is of stdout: a count, 0 at the end, or a libssh2 error, EAGAIN among them.
    func readStdout(_ take: (UnsafeRawBufferPointer) -> Void) -> Int {
        guard let handle else { return Int(LIBSSH2_ERROR_CHANNEL_CLOSED) }
        let count = libssh2_channel_read_ex(handle, 0, scratch.baseAddress, scratch.count)
        _ = drainedAfter(count, take)
        if count > 0 { return count }
        if count < 0 && count != Int(LIBSSH2_ERROR_EAGAIN) { return count }
        // 0 also means "nothing yet"; what arrived on stderr meanwhile hides the end.
        return libssh2_channel_eof(handle) == 1 ? 0 : Int(LIBSSH2_ERROR_EAGAIN)
    }

    private func drainedAfter(_ count: Int, _ take: (UnsafeRawBufferPointer) -> Void) -> Int {
        if count > 0 { take(UnsafeRawBufferPointer(rebasing: scratch[..<count])) }
        return drainStderr()
    }

    /// Whether the peer has closed its side altogether.
    var closedByPeer: Bool {
        guard let handle else { return true }
        return libssh2_channel_eof(handle) == 1 && libssh2_channel_wait_closed(handle) == 0
    }

    /// Writes as much as goes: a count, or a libssh2 error. A full window is EAGAIN.
    func write(_ bytes: UnsafeRawBufferPointer, _ socket: SSHSocket) -> Int {
        guard let handle else { return Int(LIBSSH2_ERROR_CHANNEL_CLOSED) }
        if socket.queued >= SSHSocket.highWater { return Int(LIBSSH2_ERROR_EAGAIN) }
        let count = libssh2_channel_write_ex(handle, 0, bytes.baseAddress, bytes.count)
        return count == 0 ? Int(LIBSSH2_ERROR_EAGAIN) : count
    }

    func sendEOF() -> Int {
        guard let handle, !sentEOF else { return 0 }
        let result = Int(libssh2_channel_send_eof(handle))
        if result == 0 { sentEOF = true }
        return result
    }
}
