import BasculeModel
import Glibc

/// The bytes under libssh2: it sends and receives through here only. Touched only on the loop's thread.
///
/// - Sending never blocks and never sends a part: what the kernel does not take is queued, so libssh2 never has a
///   half-sent packet, which is what makes it fail (-39) when another channel, a window adjustment or a keepalive
///   sends in between. Callers look at `queued` before they send more.
/// - Receiving checks the deadline and the byte budgets, and gives libssh2 at most `turn` bytes per call, so that no
///   peer can hold the thread. Every verdict is left in `failure`, and libssh2 only ever hears "try again".
final class SSHSocket: @unchecked Sendable {
    /// As much as one read takes out: libssh2 then keeps no queue of its own, which would make a large window slow.
    static let turn = 64 << 10
    /// A peer may send this much before the login; a real one needs under 10 KiB.
    static let loginBudget = 256 << 10
    /// Above this many unsent bytes callers wait.
    static let highWater = 1 << 20
    /// A login and the start of the first command fit into this many bytes.
    private static let hurry = 16 << 10
    /// A peer that provokes more unsent replies than this is cut off.
    private static let queueLimit = 8 << 20

    let source: Source
    private(set) var failure: BasculeError?
    /// The peer closed, or the connection broke; why, if known.
    private(set) var ended = false
    private(set) var endCause: String?
    /// Set by the owner before it frees libssh2's session: from then on every call fails at once.
    var dead = false
    /// Bytes received since the connection was made.
    private(set) var received = 0
    var deadline: ContinuousClock.Instant?
    var loggedIn = false
    private var turnLeft = 0
    private var banner = BannerFilter()
    private(set) var opening: [UInt8] = []
    private var queue: [UInt8] = []
    private var queueStart = 0

    init(source: Source) {
        self.source = source
        source.flush = { [weak self] in self?.flush() }
    }

    var queued: Int { queue.count - queueStart }
    var bannerSeen: Bool { banner.done }
    /// What the peer said before, or instead of, its banner.
    var said: String? { banner.said }

    /// Whether the peer has closed, whatever of it is still unread. Known also while nobody reads.
    var isHungUp: Bool {
        // POLLRDHUP, which the C importer leaves out without _GNU_SOURCE.
        var watched = pollfd(fd: source.descriptor, events: 0x2000, revents: 0)
        return poll(&watched, 1, 0) == 1
    }

    func beginTurn() { turnLeft = SSHSocket.turn }

    func fail(_ error: BasculeError) {
        if failure == nil { failure = error }
    }

    func end(_ cause: String?) {
        ended = true
        if endCause == nil { endCause = cause }
    }

    // MARK: receiving

    /// libssh2's contract: a count, 0 at the end, or minus an errno.
    func receive(_ buffer: UnsafeMutableRawPointer, _ length: Int) -> Int {
        if dead { return -Int(ECONNRESET) }
        if failure != nil || ended && banner.ready.isEmpty { return -Int(EAGAIN) }
        if let deadline, ContinuousClock.now >= deadline {
            fail(SSHFailure.late(banner.done ? "the key exchange" : "the server's banner"))
            return -Int(EAGAIN)
        }
        if !banner.done { readBanner() }
        if !banner.ready.isEmpty {
            let count = min(length, banner.ready.count)
            UnsafeMutableRawBufferPointer(start: buffer, count: count).copyBytes(from: banner.ready.prefix(count))
            banner.ready.removeFirst(count)
            return count
        }
        guard banner.done, turnLeft > 0 else { return -Int(EAGAIN) }
        let count = take(buffer, min(length, turnLeft))
        if count > 0, !loggedIn { keepOpening(UnsafeRawBufferPointer(start: buffer, count: count)) }
        return count > 0 ? count : -Int(EAGAIN)
    }

    private func readBanner() {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { chunk in
            guard let base = chunk.baseAddress else { return }
            while !banner.done, failure == nil, turnLeft > 0 {
                let count = take(base, 512)
                if count <= 0 { return }
                if let problem = banner.feed(UnsafeRawBufferPointer(start: base, count: count)) {
                    fail(SSHFailure.banner(problem, said: banner.said))
                }
            }
        }
        if banner.done { opening = banner.afterBanner }
    }

    /// Keeps the start of the key exchange, to explain a failure.
    private func keepOpening(_ bytes: UnsafeRawBufferPointer) {
        if opening.count < 4096 { opening += bytes.prefix(4096 - opening.count) }
    }

    private func take(_ buffer: UnsafeMutableRawPointer, _ length: Int) -> Int {
        if ended { return 0 }
        let count = recv(source.descriptor, buffer, length, 0)
        if count > 0 {
            received += count
            turnLeft -= count
            if received < SSHSocket.hurry { acknowledgeNow() }
            if !loggedIn, received > SSHSocket.loginBudget {
                fail(
                    BasculeError(
                        .sshProtocol, "the server sent over \(SSHSocket.loginBudget >> 10) KiB before the login"))
                return 0
            }
        } else if count == 0 {
            end("the server closed the connection")
        } else if errno != EAGAIN && errno != EINTR {
            end(errorText(errno))
        }
        return count
    }

    /// Until its first command starts, sshd leaves Nagle's algorithm on: it holds the answer to our first channel back
    /// until its previous packet is acknowledged, which the kernel would delay by 40 ms.
    private func acknowledgeNow() {
        var on: Int32 = 1
        setsockopt(source.descriptor, Int32(IPPROTO_TCP), TCP_QUICKACK, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    // MARK: sending

    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        if dead { return -Int(EPIPE) }
        guard queued + bytes.count <= SSHSocket.queueLimit else {
            fail(SSHFailure.disconnected("the server does not take what it asks for"))
            return bytes.count
        }
        if !ended { queue += bytes }
        if queued >= 64 << 10 { flush() }
        return bytes.count
    }

    /// Hands what is queued to the kernel: once a call, so that small packets leave together.
    func flush() {
        while queued > 0, !ended {
            let count = queue.withUnsafeBytes { bytes in
                Glibc.send(source.descriptor, bytes.baseAddress.map { $0 + queueStart }, queued, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { end(errorText(errno)) }
                break
            }
            queueStart += count
        }
        if queued == 0 || ended {
            queue.removeAll(keepingCapacity: queue.capacity <= 128 << 10)
            queueStart = 0
        } else {
            if queueStart > SSHSocket.highWater {
                queue.removeFirst(queueStart)
                queueStart = 0
            }
            // Whoever wrote may be content and gone: the rest must leave without anybody waiting for it.
            source.loop.arm(source, source.waiters.isEmpty ? .writable : [.readable, .writable])
        }
    }
}

/// Finds the `SSH-2.0-…` line. RFC 4253 lets a server say other lines before it; libssh2 would read them for ever.
struct BannerFilter {
    private static let budget = 16 << 10
    private var pending: [UInt8] = []
    private var seen = 0
    private var firstLine: [UInt8] = []
    private(set) var done = false
    /// Bytes that libssh2 may have: the banner line and what follows it.
    var ready: ArraySlice<UInt8> = []
    private(set) var afterBanner: [UInt8] = []

    var said: String? {
        let line = firstLine.isEmpty ? pending : firstLine
        return line.isEmpty ? nil : SSHFailure.harmless(line)
    }

    /// Takes bytes; returns what is wrong with them.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) -> String? {
        seen += bytes.count
        pending += bytes
        while let end = pending.firstIndex(of: 10) {
            var line = Array(pending[..<end])
            if line.last == 13 { line.removeLast() }
            if line.starts(with: "SSH-".utf8) {
                guard line.starts(with: "SSH-2.0-".utf8) || line.starts(with: "SSH-1.99-".utf8) else {
                    firstLine = line
                    return "the server does not speak SSH 2"
                }
                guard line.count <= 253, !line.contains(0) else { return "the server's banner is malformed" }
                done = true
                ready = pending[...]
                afterBanner = Array(pending[(end + 1)...])
                return nil
            }
            if firstLine.isEmpty { firstLine = line }
            pending.removeSubrange(...end)
        }
        return seen > BannerFilter.budget ? "no SSH banner within \(BannerFilter.budget >> 10) KiB" : nil
    }
}
