import BasculeResources
import Glibc
import Synchronization

/// Gives memory back once nobody has asked for anything for a while; a connection alone, kept for the next command, asks
/// for nothing. Three quarters of what is resident after an apply is the program's own code, read in by then; it stays in
/// the kernel's cache and is mapped again where it is next run.
final class IdleMemory: Sendable {
    private let begun = Atomic(0)
    private let seen = Mutex((begun: -1, ticks: 0))
    /// Quiet ticks before anything is given back: a controller often connects again at once.
    private let patience: Int
    /// Looking after the node runs little of the code, but all of it once in a while: after so many more quiet ticks what
    /// is resident is looked at again, and given back where it is more than `bytes`.
    private let interval: Int
    private let bytes: Int

    init(patience: Int = 5, interval: Int = 60, bytes: Int = 14 << 20) {
        (self.patience, self.interval, self.bytes) = (patience, interval, bytes)
    }

    /// Something was done, e.g. asked or healed: what it took is given back when it is quiet again.
    func worked() { begun.add(1, ordering: .relaxed) }

    /// To be called once a second. Returns how many bytes of code were let go, 0 at nearly every call.
    @discardableResult
    func tick() -> Int {
        let count = begun.load(ordering: .relaxed)
        let isTime = seen.withLock { seen in
            seen.ticks = count != seen.begun ? 0 : seen.ticks + 1
            seen.begun = count
            return seen.ticks == patience || isDue(seen.ticks)
        }
        return isTime ? Self.giveBack() : 0
    }

    private func isDue(_ ticks: Int) -> Bool {
        ticks > patience && (ticks - patience) % interval == 0 && Self.resident() > bytes
    }

    /// Bytes of this process in memory (the second field of `/proc/self/statm`, in pages); 0 where it cannot be read.
    static func resident() -> Int {
        guard let text = (try? AtomicFile.read("/proc/self/statm")) ?? nil,
            let pages = String(decoding: text, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap({
                Int($0)
            })
        else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Only what nothing writes to: what is dropped is read again from its file as it was.
    private static func giveBack() -> Int {
        // The heap first: what the C library keeps free it gives back to the kernel.
        Heap.trim()
        guard let maps = (try? AtomicFile.read("/proc/self/maps")) ?? nil else { return 0 }
        var bytes = 0
        for line in maps.split(separator: UInt8(ascii: "\n")) {
            guard let region = code(in: String(decoding: line, as: UTF8.self)),
                madvise(UnsafeMutableRawPointer(bitPattern: region.lowerBound), Int(region.count), MADV_DONTNEED) == 0
            else { continue }
            bytes += Int(region.count)
        }
        return bytes
    }

    /// The addresses of a line of `/proc/self/maps` that is code from a file, or the beginning of a program: its headers,
    /// relocations and tables before the code. What is read-only after the code was written to when it was relocated.
    static func code(in line: String) -> Range<UInt>? {
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count >= 6, fields[4] != "0", fields[5].hasPrefix("/"),
            fields[1] == "r-xp" || (fields[1] == "r--p" && fields[2].allSatisfy { $0 == "0" })
        else { return nil }
        let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard ends.count == 2, ends[0] < ends[1] else { return nil }
        return ends[0]..<ends[1]
    }
}
