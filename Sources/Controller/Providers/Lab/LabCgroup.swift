import BasculeModel
import Glibc

/// The control group of one node, in each hierarchy that systemd-nspawn uses. Without one of its own, all nodes that
/// one program starts share a group, and their systemds trip over each other. It also names a node's processes safely:
/// a recycled process id is never in it.
struct LabCgroup: Sendable {
    let directories: [String]
    let parents: [String]

    init(tag: String, machine: String) {
        let roots = Self.roots(inMounts: LabFiles.read("/proc/self/mounts") ?? "")
        directories = roots.map { "\($0)/bascule-lab/\(tag)/\(machine)" }
        parents = roots.flatMap { ["\($0)/bascule-lab/\(tag)", "\($0)/bascule-lab"] }
    }

    /// The mount points of the unified hierarchy and of systemd's named one.
    static func roots(inMounts mounts: String) -> [String] {
        mounts.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 3 else { return nil }
            let named = fields[2] == "cgroup" && fields[3].split(separator: ",").contains("name=systemd")
            return fields[2] == "cgroup2" || named ? String(fields[1]) : nil
        }
    }

    /// Whether nodes can have the unified hierarchy, as every real server has it.
    static var hasUnified: Bool {
        (LabFiles.read("/proc/self/mounts") ?? "").split(separator: "\n").contains { line in
            line.split(separator: " ").dropFirst(2).first == "cgroup2"
        }
    }

    /// Makes the groups; the files into which a process writes its number to join.
    func make() throws -> [String] {
        try directories.map { directory in
            try LabFiles.makeDirectory(directory)
            return "\(directory)/cgroup.procs"
        }
    }

    var processes: Set<Int32> { Set(directories.flatMap(Self.processes(below:))) }

    /// Kills every process of the node at once and waits until they are gone; a supervisor that is our own child is
    /// collected.
    func kill(supervisor: Int32?) async throws {
        let end = ContinuousClock.now.advanced(by: .seconds(10))
        for directory in directories where LabFiles.exists("\(directory)/cgroup.kill") {
            try? LabFiles.poke("1", into: "\(directory)/cgroup.kill")
        }
        while true {
            if let supervisor { _ = Spawn.poll(supervisor) }
            let left = processes
            if left.isEmpty { return }
            for process in left { Glibc.kill(process, SIGKILL) }
            guard ContinuousClock.now < end else {
                throw BasculeError(.timedOut, "processes of a throwaway node do not end", cause: "\(left.sorted())")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Removes the empty groups, and those above when this was the last node.
    func remove() async {
        for _ in 0..<200 {
            for directory in directories { Self.removeEmpty(directory) }
            if !directories.contains(where: LabFiles.exists) { break }
            // The kernel lets go of a dead process's group a moment after the process.
            try? await Task.sleep(for: .milliseconds(5))
        }
        for parent in parents { rmdir(parent) }
    }

    private static func subgroups(of directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafePointer(to: entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append("\(directory)/\(name)") }
        }
        return names
    }

    private static func processes(below directory: String) -> [Int32] {
        let own = (LabFiles.read("\(directory)/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
        return own + subgroups(of: directory).flatMap(processes(below:))
    }

    private static func removeEmpty(_ directory: String) {
        for group in subgroups(of: directory) { removeEmpty(group) }
        rmdir(directory)
    }
}
