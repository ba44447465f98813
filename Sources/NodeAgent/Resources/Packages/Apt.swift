import BasculeModel
import Glibc

/// Runs apt-get as an agent must: without questions, without a terminal, patiently.
enum Apt {
    private static let options = [
        "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confdef",
        "-o", "Dpkg::Options::=--force-confold", "-o", "APT::Install-Recommends=false", "-o", "Acquire::Retries=3",
    ]

    static let environment = [
        "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "NEEDRESTART_MODE": "l",
        "APT_LISTCHANGES_FRONTEND": "none", "UCF_FORCE_CONFFOLD": "1", "DEBIAN_PRIORITY": "critical",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]

    /// One apt-get transaction. It runs to its end: a killed dpkg leaves half a package behind.
    @discardableResult
    static func run(_ arguments: [String], _ what: String, _ context: NodeContext) throws -> ProcessOutcome {
        try AptLock.wait(context)
        let isUpdate = arguments.last == "update"
        let quiet = isUpdate ? [] : try SystemdReloads.options(context)
        let result = Result {
            try Subprocess.require(
                ["apt-get"] + options + quiet + arguments, what, code: .packageFailed, hint: nil,
                .init(environment: environment, deadline: .seconds(3600), onLine: { context.progress($0) }))
        }
        if !isUpdate { try SystemdReloads.catchUp() }
        return try result.get()
    }

    /// For how long package lists are good: what is installed from older ones has known holes, and unattended upgrades,
    /// which come once a day, leave services that keep data alone.
    private static let listsAreGoodFor = 86_400

    /// Runs a transaction; where the package lists are missing or old, or turn out stale, fetches them first (again).
    static func withFreshLists(_ context: NodeContext, _ transaction: () throws -> Void) throws {
        guard areFresh(context) else {
            try update(context)
            return try transaction()
        }
        do {
            try transaction()
        } catch let error as BasculeError where isStale(error.cause ?? "") {
            context.progress("the package lists are not fresh enough, fetching them")
            try update(context)
            try transaction()
        }
    }

    static func update(_ context: NodeContext, only options: [String] = []) throws {
        try run(options + ["update"], "Fetching the package lists", context)
        if options.isEmpty { try AtomicFile.write(stamp(context), [], Permissions(mode: 0o600), kind: "state") }
    }

    /// What apt says when its lists do not know a package, or when a mirror has moved on.
    static func isStale(_ text: String) -> Bool {
        [
            "Unable to locate package", "has no installation candidate", "Couldn't find any package", "404 ",
            "was not found", "Hash Sum mismatch", "--fix-missing",
        ].contains { text.contains($0) }
    }

    /// apt leaves a list alone that has not changed, so its files do not tell when it last asked.
    private static func stamp(_ context: NodeContext) -> String { "\(context.stateDirectory)/package-lists" }

    private static func areFresh(_ context: NodeContext) -> Bool {
        let folder = "/var/lib/apt/lists"
        let names = (directoryNames(folder) ?? []).filter { $0.contains("_Packages") || $0.hasSuffix("InRelease") }
        guard names.contains(where: { $0.contains("_Packages") }) else { return false }
        // The time of change is this machine's; that of modification is the mirror's.
        let written = (names.map { "\(folder)/\($0)" } + [stamp(context)]).compactMap { path -> Int? in
            var status = stat()
            return stat(path, &status) == 0 ? status.st_ctim.tv_sec : nil
        }
        return written.contains { time(nil) - $0 < listsAreGoodFor }
    }
}

/// Waits for another package manager, and says which one.
package enum AptLock {
    /// Whether another program is at work on the node's packages.
    package static var isHeld: Bool { holder() != nil }

    static func wait(_ context: NodeContext, limit: Duration = .seconds(300)) throws {
        let end = ContinuousClock.now.advanced(by: limit)
        var told: pid_t = 0
        while let holder = holder() {
            if holder != told {
                context.progress("waiting for the package lock, held by \(name(holder)) (process \(holder))")
                told = holder
            }
            guard ContinuousClock.now < end else {
                throw BasculeError(
                    .timedOut, "The package lock stayed taken for \(limit)", at: .thing("/var/lib/dpkg/lock-frontend"),
                    cause: "held by \(name(holder)) (process \(holder))",
                    hint: "let it end, or end it, then apply again")
            }
            if context.isCancelled() { throw BasculeError(.cancelled, "Cancelled while waiting for the package lock") }
            usleep(250_000)
        }
    }

    /// The process that holds one of dpkg's locks.
    private static func holder() -> pid_t? {
        for path in ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"] {
            let file = open(path, O_RDWR | O_CLOEXEC)
            guard file >= 0 else { continue }
            defer { close(file) }
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            lock.l_whence = Int16(SEEK_SET)
            guard fcntl(file, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK), lock.l_pid > 0 else { continue }
            return lock.l_pid
        }
        return nil
    }

    private static func name(_ pid: pid_t) -> String {
        let bytes = (try? AtomicFile.read("/proc/\(pid)/comm")) ?? nil
        return bytes.map { String(decoding: $0, as: UTF8.self).filter { !$0.isNewline } } ?? "an unknown program"
    }
}

/// Refuses transactions that would take more off a node than was declared.
enum AptRemovals {
    static func check(_ words: [String], allowed: Set<String>, _ context: NodeContext) throws {
        let outcome = try Subprocess.run(
            ["apt-get", "-s", "-y", "-q", "install", "--"] + words,
            .init(environment: Apt.environment, deadline: .seconds(120)))
        // A simulation that fails (a package is not known yet) is judged by the real transaction.
        guard outcome.status == 0 else { return }
        // What came only because something else needed it may go with that.
        let states = try AtomicFile.read("/var/lib/apt/extended_states") ?? []
        let automatic = automatic(in: String(decoding: states, as: UTF8.self))
        let more = removed(in: outcome.text).filter { !allowed.contains($0) && !automatic.contains($0) }
        guard more.isEmpty else {
            throw BasculeError(
                .packageFailed,
                "Removing \(allowed.sorted().joined(separator: ", ")) would also remove \(more.joined(separator: ", "))",
                hint: "declare these as absent too, or keep the package that they need")
        }
    }

    /// The packages that apt's own record calls automatically installed.
    static func automatic(in states: String) -> Set<String> {
        var found: Set<String> = []
        var name = ""
        for line in states.split(separator: "\n") {
            if line.hasPrefix("Package: ") { name = String(line.dropFirst(9)) }
            if line == "Auto-Installed: 1" { found.insert(name) }
        }
        return found
    }

    /// The packages that a simulation says it removes.
    static func removed(in text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("Remv ") || $0.hasPrefix("Purg ") }
            .compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
    }
}
