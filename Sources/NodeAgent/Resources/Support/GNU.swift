import BasculeModel
import Glibc

/// Entries of the C library that its Swift module hides, because their headers want `_GNU_SOURCE`. All are in every
/// glibc since 2.34, and the agent needs 2.35.
enum GNU {
    /// An `open` flag: a handle on a place, not on its content. The same number on x86-64 and arm64.
    static let openPath: Int32 = 0o10000000

    private typealias Pipe = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    private typealias ChangeDirectory =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32

    /// A pipe whose ends no child inherits by accident: its reading and its writing end.
    static func pipe(for what: String) throws -> (read: Int32, write: Int32) {
        let call = unsafeBitCast(try symbol("pipe2"), to: Pipe.self)
        var ends: [Int32] = [-1, -1]
        guard call(&ends, O_CLOEXEC) == 0 else { throw systemError("make a pipe", what) }
        return (ends[0], ends[1])
    }

    /// The child keeps no descriptor from this one on.
    static func closeFrom(_ actions: inout posix_spawn_file_actions_t, _ first: Int32) throws {
        _ = unsafeBitCast(try symbol("posix_spawn_file_actions_addclosefrom_np"), to: CloseFrom.self)(&actions, first)
    }

    /// The child starts in this directory.
    static func changeDirectory(_ actions: inout posix_spawn_file_actions_t, _ path: String) throws {
        _ = unsafeBitCast(try symbol("posix_spawn_file_actions_addchdir_np"), to: ChangeDirectory.self)(&actions, path)
    }

    /// The address of a function of the C library.
    static func symbol(_ name: String) throws -> UnsafeMutableRawPointer {
        if let found = dlsym(nil, name) { return found }
        throw BasculeError(
            .unsupported, "The C library of this node has no \(name)", hint: "Debian 12 or newer is needed")
    }
}

/// The C library's heap.
package enum Heap {
    private typealias Trim = @convention(c) (Int) -> Int32

    /// Gives back to the kernel what is free; a C library without that keeps it.
    package static func trim() {
        guard let symbol = try? GNU.symbol("malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: Trim.self)(0)
    }
}
