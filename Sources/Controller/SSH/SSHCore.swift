import BasculeModel
import CLibSSH2
import Glibc

/// libssh2's global state: once in the life of the process.
private let libraryStatus: Int32 = libssh2_init(0)

/// The one owner of a `LIBSSH2_SESSION`, its socket and its memory. Touched only on the loop's thread.
final class SSHCore: @unchecked Sendable {
    /// libssh2 keeps packets of unknown kinds until somebody asks for them: a hostile peer must not fill the memory.
    static let memoryLimit = 128 << 20

    let socket: SSHSocket
    let source: Source
    let session: OpaquePointer
    private let memory: Memory
    private let abstract: Unmanaged<Memory>

    /// What libssh2's callbacks find behind the session's `abstract`.
    final class Memory {
        let socket: SSHSocket
        var live = 0
        init(socket: SSHSocket) { self.socket = socket }
    }

    /// Owns `descriptor` from here on.
    init(descriptor: Int32, loop: SSHLoop) throws {
        guard libraryStatus == 0 else { throw BasculeError(.defect, "libssh2 does not start") }
        source = Source(descriptor: descriptor, loop: loop)
        socket = SSHSocket(source: source)
        memory = Memory(socket: socket)
        abstract = Unmanaged.passRetained(memory)
        guard let session = libssh2_session_init_ex(obtain, release, resize, abstract.toOpaque()) else {
            source.close()
            close(descriptor)
            abstract.release()
            throw BasculeError(.defect, "libssh2 cannot make a session")
        }
        self.session = session
        libssh2_session_set_blocking(session, 0)
        setCallback(LIBSSH2_CALLBACK_RECV, unsafeBitCast(receive, to: UnsafeMutableRawPointer.self))
        setCallback(LIBSSH2_CALLBACK_SEND, unsafeBitCast(transmit, to: UnsafeMutableRawPointer.self))
        setCallback(LIBSSH2_CALLBACK_DISCONNECT, unsafeBitCast(disconnected, to: UnsafeMutableRawPointer.self))
    }

    deinit {
        // The callbacks now fail at once, so libssh2 cannot ask to be called again; the bound is for its mistakes.
        socket.dead = true
        var tries = 0
        while libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN, tries < 1000 { tries += 1 }
        source.close()
        close(source.descriptor)
        abstract.release()
    }

    private func setCallback(_ kind: Int32, _ function: UnsafeMutableRawPointer) {
        libssh2_session_callback_set(session, kind, function)
    }

    func prefer(hostKeys: [String]) throws {
        let lists: [(Int32, [String])] = [
            (LIBSSH2_METHOD_KEX, Algorithms.keyExchanges), (LIBSSH2_METHOD_HOSTKEY, hostKeys),
            (LIBSSH2_METHOD_CRYPT_CS, Algorithms.ciphers), (LIBSSH2_METHOD_CRYPT_SC, Algorithms.ciphers),
            (LIBSSH2_METHOD_MAC_CS, Algorithms.macs), (LIBSSH2_METHOD_MAC_SC, Algorithms.macs),
            (LIBSSH2_METHOD_COMP_CS, ["none"]), (LIBSSH2_METHOD_COMP_SC, ["none"]),
        ]
        for (kind, names) in lists {
            guard libssh2_session_method_pref(session, kind, names.joined(separator: ",")) == 0 else {
                throw BasculeError(.defect, "libssh2 does not know our algorithms", cause: lastMessage())
            }
        }
        guard libssh2_session_banner_set(session, "SSH-2.0-bascule") == 0 else {
            throw BasculeError(.defect, "libssh2 does not take our banner", cause: lastMessage())
        }
    }

    /// libssh2's message for the last error, copied: its next call overwrites it.
    func lastMessage() -> String {
        var text: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        libssh2_session_last_error(session, &text, &length, 0)
        guard let text, length > 0 else { return "no message" }
        return UnsafeRawBufferPointer(start: text, count: Int(length)).withMemoryRebound(to: UInt8.self) {
            SSHFailure.harmless($0)
        }
    }

    /// Memory that libssh2 will free itself.
    static func allocate(_ count: Int, for session: OpaquePointer) -> UnsafeMutableRawPointer? {
        obtain(count, libssh2_session_abstract(session))
    }

    func presentedHostKey() -> HostKey? {
        var length = 0
        var type: Int32 = 0
        guard let bytes = libssh2_session_hostkey(session, &length, &type), length > 0 else { return nil }
        return HostKey(wire: Array(UnsafeRawBufferPointer(start: bytes, count: length)))
    }
}

// MARK: libssh2's callbacks

private typealias Abstract = UnsafeMutablePointer<UnsafeMutableRawPointer?>
private typealias Transfer = @convention(c) (Int32, UnsafeMutableRawPointer?, Int, Int32, Abstract?) -> Int
private typealias Farewell =
    @convention(c) (
        OpaquePointer?, Int32, UnsafePointer<UInt8>?, Int32, UnsafePointer<UInt8>?, Int32, Abstract?
    ) -> Void

private func memory(_ abstract: Abstract?) -> SSHCore.Memory? {
    abstract?.pointee.map { Unmanaged<SSHCore.Memory>.fromOpaque($0).takeUnretainedValue() }
}

private let receive: Transfer = { _, buffer, length, _, abstract in
    guard let buffer, let memory = memory(abstract) else { return -Int(EINVAL) }
    return memory.socket.receive(buffer, length)
}

private let transmit: Transfer = { _, buffer, length, _, abstract in
    guard let buffer, let memory = memory(abstract) else { return -Int(EINVAL) }
    return memory.socket.send(UnsafeRawBufferPointer(start: buffer, count: length))
}

private let disconnected: Farewell = { _, _, message, length, _, _, abstract in
    guard let memory = memory(abstract) else { return }
    let text = UnsafeRawBufferPointer(start: message, count: message == nil ? 0 : Int(max(0, length)))
    memory.socket.end("the server said: \(SSHFailure.harmless(text))")
}

// Each block starts with its size, so that what a session holds can be counted.
private let header = 16

private func obtain(_ count: Int, _ abstract: Abstract?) -> UnsafeMutableRawPointer? {
    guard let memory = memory(abstract), memory.live + count <= SSHCore.memoryLimit,
        let block = malloc(count + header)
    else { return nil }
    block.storeBytes(of: count, as: Int.self)
    memory.live += count
    return block + header
}

private func resize(
    _ block: UnsafeMutableRawPointer?, _ count: Int, _ abstract: Abstract?
) -> UnsafeMutableRawPointer? {
    guard let block else { return obtain(count, abstract) }
    let before = (block - header).load(as: Int.self)
    guard let memory = memory(abstract), memory.live + count <= SSHCore.memoryLimit,
        let moved = realloc(block - header, count + header)
    else { return nil }
    moved.storeBytes(of: count, as: Int.self)
    memory.live += count - before
    return moved + header
}

private func release(_ block: UnsafeMutableRawPointer?, _ abstract: Abstract?) {
    guard let block else { return }
    memory(abstract)?.live -= (block - header).load(as: Int.self)
    free(block - header)
}
