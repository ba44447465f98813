import BasculeModel
import Glibc
import Synchronization

/// Kernel settings: a file for the next boot, and the live value.
enum SysctlKeeper {
    /// Writes that this kernel refused since it booted: asking the file's mode alone does not tell.
    private struct Refusals: Codable {
        var boot: String
        var values: [String: String]
    }

    static func observe(_ spec: SysctlSpec, _ context: NodeContext) throws -> SysctlObserved {
        let path = try live(spec.key)
        let value = try liveValue(spec.key)
        let saved = try AtomicFile.read(file(spec.key)).flatMap { savedValue($0, spec.key) }
        return SysctlObserved(live: value, saved: saved, writable: isWritable(path) && !isRefused(spec, context))
    }

    /// Only what the kernel says now: asked every few seconds for every setting.
    static func liveValue(_ key: String) throws -> String? { try read(live(key)).map(normalised) }

    static func apply(_ spec: SysctlSpec, _ context: NodeContext) throws {
        let text = "# Managed by Bascule.\n\(spec.key) = \(spec.value)\n"
        try AtomicFile.write(file(spec.key), Array(text.utf8), Permissions(mode: 0o644))
        let path = try live(spec.key)
        guard try read(path).map(normalised) != spec.value else { return }
        try write(spec, path, context)
    }

    /// Puts a live value back; a refusal is ignored, the saved file decides at the next boot.
    static func restoreLive(_ key: String, _ value: String) throws {
        let path = try live(key)
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        let bytes = Array((value + "\n").utf8)
        _ = Glibc.write(file, bytes, bytes.count)
    }

    static func file(_ key: String) -> String {
        "/etc/sysctl.d/60-bascule-\(key.replacing("/", with: "-")).conf"
    }

    /// Blanks between numbers are tabs in the kernel and spaces in files.
    static func normalised(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    static func savedValue(_ bytes: [UInt8], _ key: String) -> String? {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2, normalised(String(parts[0])) == key { return normalised(String(parts[1])) }
        }
        return nil
    }

    private static func live(_ key: String) throws -> String {
        let parts = key.contains("/") ? key.split(separator: "/") : key.split(separator: ".")
        guard !parts.isEmpty, !parts.contains(".."), !parts.contains("."), !key.contains("\0") else {
            throw BasculeError(.invalidInput, "This is no kernel setting", at: .thing(key))
        }
        return "/proc/sys/" + parts.joined(separator: "/")
    }

    private static func read(_ path: String) throws -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return String(decoding: try AtomicFile.readAll(file, path, limit: 1 << 20), as: UTF8.self)
    }

    /// Opening for writing is where the kernel checks a setting's permissions.
    private static func isWritable(_ path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        if file >= 0 { close(file) }
        return file >= 0
    }

    private static func write(_ spec: SysctlSpec, _ path: String, _ context: NodeContext) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        let bytes = Array((spec.value + "\n").utf8)
        let written = file >= 0 ? Glibc.write(file, bytes, bytes.count) : -1
        let number = errno
        if file >= 0 { close(file) }
        guard written < 0 else { return }
        switch number {
        case EACCES, EPERM, EROFS, ENOENT:
            context.progress("\(spec.key): this kernel refuses the live value, it is saved for the next boot")
            try noteRefusal(spec, context)
        case EINVAL, ERANGE:
            throw BasculeError(
                .invalidInput, "The kernel does not accept the value \(spec.value)", at: .thing(spec.key),
                hint: "correct the value in the fleet file")
        default: throw systemError("set", spec.key, number)
        }
    }

    static func isRefused(_ spec: SysctlSpec, _ context: NodeContext) -> Bool {
        guard let stored = StateFile.load(refusals(context), as: Refusals.self), stored.boot == bootID() else {
            return false
        }
        return stored.values[spec.key] == spec.value
    }

    /// Steps run side by side, and healing beside them: one writes the file at a time.
    private static let noting = Mutex(())

    static func noteRefusal(_ spec: SysctlSpec, _ context: NodeContext) throws {
        try noting.withLock { _ in
            let boot = bootID()
            var stored = StateFile.load(refusals(context), as: Refusals.self) ?? Refusals(boot: boot, values: [:])
            if stored.boot != boot { stored = Refusals(boot: boot, values: [:]) }
            stored.values[spec.key] = spec.value
            try StateFile.save(refusals(context), stored)
        }
    }

    private static func refusals(_ context: NodeContext) -> String { "\(context.stateDirectory)/sysctl-refused.json" }
}

/// The kernel's id of this boot.
package func bootID() -> String {
    let bytes = (try? AtomicFile.read("/proc/sys/kernel/random/boot_id")) ?? nil
    return String(decoding: bytes ?? [], as: UTF8.self).filter { !$0.isWhitespace }
}
