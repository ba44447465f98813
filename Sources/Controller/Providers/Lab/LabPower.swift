import BasculeModel
import Glibc

extension Lab {
    /// Where the host sees a node's root directory, for tests that put a disk below a part of it.
    package func root(of name: NodeName) throws -> String {
        paths.node(try record(of: name).spec.name, of: labName).root
    }

    /// Pulls the plug of a node with a disk of its own (`LabDisk.limited`): the disk takes nothing more, what was not
    /// flushed to it is lost, and every process dies. `boot` mounts the disk again, which replays its journal.
    /// - Throws: `invalid-input` for a node on the host's disk, which cannot be cut off.
    package func cutPower(_ name: NodeName) async throws {
        try await FileLock.with(paths.lock(of: labName)) {
            let record = try record(of: name)
            guard record.spec.disk != .host else {
                throw BasculeError(
                    .invalidInput, "only a node with a disk of its own can lose power", at: .thing(name.rawValue),
                    hint: "Give it `LabDisk.limited`, or use `kill`, which ends its processes only.")
            }
            let node = paths.node(name, of: labName)
            // Processes that lived on for a moment must find nothing that they could still write to.
            try Self.shutDownExt4(node.disk)
            try await halt(name) { record, cgroup in try await cgroup.kill(supervisor: record.supervisor?.pid) }
            LabMounts.detachAll(under: node.directory)
        }
    }

    /// `EXT4_IOC_SHUTDOWN` without flushing the log.
    private static func shutDownExt4(_ mountPoint: String) throws {
        let request: UInt = 0x8004_587d  // _IOR('X', 125, __u32)
        var withoutFlushing: UInt32 = 2
        let descriptor = open(mountPoint, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LabFiles.failure("could not be opened", mountPoint) }
        defer { close(descriptor) }
        guard ioctl(descriptor, request, &withoutFlushing) == 0 else {
            throw LabFiles.failure("system could not be cut off", mountPoint)
        }
    }
}
