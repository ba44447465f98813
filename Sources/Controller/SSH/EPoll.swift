import BasculeModel
import Glibc

// The Glibc module of Swift 6.3 leaves <sys/epoll.h> out, so the three calls are declared here, and nowhere else.
@_silgen_name("epoll_create1")
private func c_epoll_create1(_ flags: Int32) -> Int32
@_silgen_name("epoll_ctl")
private func c_epoll_ctl(_ epoll: Int32, _ operation: Int32, _ file: Int32, _ event: UnsafeMutableRawPointer?) -> Int32
@_silgen_name("epoll_wait")
private func c_epoll_wait(_ epoll: Int32, _ events: UnsafeMutableRawPointer, _ count: Int32, _ timeout: Int32) -> Int32

/// The one owner of an epoll descriptor.
final class EPoll {
    /// What can be asked about a descriptor, and what comes back.
    struct Events: OptionSet {
        let rawValue: UInt32
        static let readable = Events(rawValue: 0x001)
        static let writable = Events(rawValue: 0x004)
        static let failed = Events(rawValue: 0x008)
        static let hungUp = Events(rawValue: 0x010)
        /// Reported once, then silent until asked again: an idle descriptor with unread bytes costs nothing.
        static let oneShot = Events(rawValue: 1 << 30)
    }

    // The kernel packs `struct epoll_event` on x86-64 only.
    #if arch(x86_64)
        private static let stride = 12
        private static let keyOffset = 4
    #else
        private static let stride = 16
        private static let keyOffset = 8
    #endif
    private static let batch = 128

    private let descriptor: Int32
    private let events: UnsafeMutableRawPointer

    init() throws(BasculeError) {
        descriptor = c_epoll_create1(O_CLOEXEC)
        guard descriptor >= 0 else {
            throw BasculeError(.inputOutput, "cannot create an epoll descriptor", cause: errorText(errno))
        }
        events = .allocate(byteCount: EPoll.stride * EPoll.batch, alignment: 8)
    }

    deinit {
        events.deallocate()
        close(descriptor)
    }

    func add(_ file: Int32, key: UInt64, _ interest: Events) -> Bool { control(1, file, key, interest) }
    func remove(_ file: Int32) { _ = c_epoll_ctl(descriptor, 2, file, nil) }
    func modify(_ file: Int32, key: UInt64, _ interest: Events) -> Bool { control(3, file, key, interest) }

    private func control(_ operation: Int32, _ file: Int32, _ key: UInt64, _ interest: Events) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: EPoll.stride, alignment: 8) { event in
            event.storeBytes(of: interest.rawValue, toByteOffset: 0, as: UInt32.self)
            event.storeBytes(of: key, toByteOffset: EPoll.keyOffset, as: UInt64.self)
            return c_epoll_ctl(descriptor, operation, file, event.baseAddress) == 0
        }
    }

    /// Waits at most `milliseconds` (-1: without end) and hands every event to `body`.
    func wait(milliseconds: Int32, _ body: (UInt64, Events) -> Void) {
        let count = c_epoll_wait(descriptor, events, Int32(EPoll.batch), milliseconds)
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let base = events + index * EPoll.stride
            let what = Events(rawValue: base.loadUnaligned(as: UInt32.self))
            body((base + EPoll.keyOffset).loadUnaligned(as: UInt64.self), what)
        }
    }
}

/// The system's text for an `errno`.
func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
