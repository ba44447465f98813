import BasculeModel
import BasculeProviders
import Foundation

/// An ext4 in a file, mounted where a test wants it: small, or on a disk that can lose power or fail.
final class LoopDisk: Sendable {
    let mountPoint: String
    private let file: String

    /// - Parameter file: where the disk's bytes are; on a full file system the disk fails as a broken one does.
    init(megabytes: Int, file: String, at mountPoint: String) async throws {
        (self.file, self.mountPoint) = (file, mountPoint)
        try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: true)
        guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, megabytes << 20) == 0 else {
            throw BasculeError(.inputOutput, "could not make \(file)")
        }
        _ = try await Command.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", file])
            .requireSuccess("mkfs.ext4")
        try await mount()
    }

    /// The same, holding what the directory held that it is mounted over.
    convenience init(megabytes: Int, file: String, over directory: String) async throws {
        let kept = "\(file).kept"
        try? FileManager.default.removeItem(atPath: kept)
        _ = try await Command.run(["cp", "-a", directory, kept]).requireSuccess("cp")
        try await self.init(megabytes: megabytes, file: file, at: directory)
        _ = try await Command.run(["cp", "-a", "\(kept)/.", directory]).requireSuccess("cp")
        _ = try await Command.run(["sync", "-f", directory]).requireSuccess("sync")
    }

    deinit { unmount() }

    func unmount() { umount2(mountPoint, Int32(MNT_DETACH)) }

    func mount() async throws {
        _ = try await Command.run(["mount", "-o", "loop", file, mountPoint]).requireSuccess("mount")
    }

    /// What was not flushed is lost, and nothing more can be written. `mountAgain` gives the disk back.
    func cutPower() throws {
        let descriptor = open(mountPoint, O_RDONLY)
        defer { close(descriptor) }
        var withoutFlushing: UInt32 = 2
        // EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
        guard descriptor >= 0, ioctl(descriptor, 0x8004_587D, &withoutFlushing) == 0 else {
            throw BasculeError(.inputOutput, "the power could not be cut", cause: String(cString: strerror(errno)))
        }
    }

    func mountAgain() async throws {
        umount2(mountPoint, Int32(MNT_DETACH))
        try await mount()
    }

    /// Fills what is left, to the last block.
    func fill() async throws {
        for size in ["1M", "64k", "1k"] {
            _ = try await Command.run([
                "dd", "if=/dev/zero", "of=\(mountPoint)/ballast", "bs=\(size)", "oflag=append", "conv=notrunc",
            ])
            _ = try await Command.run(["sync", "-f", mountPoint])
        }
    }

    func empty() { unlink("\(mountPoint)/ballast") }
}
