import BasculeModel

/// Finishes what an interrupted dpkg left behind, before anything else is asked of it.
enum AptRepair {
    static func run(_ context: NodeContext) throws {
        let updates = directoryNames("/var/lib/dpkg/updates") ?? []
        if try !updates.isEmpty || !DpkgStatus.current().unfinished.isEmpty {
            context.progress("an interrupted package transaction is being finished")
            try AptLock.wait(context)
            // Its failure is judged by what is left: a half-installed package needs its archive again.
            _ = try Subprocess.run(
                ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"],
                .init(environment: Apt.environment, deadline: .seconds(1800), onLine: { context.progress($0) }))
        }
        let broken = try DpkgStatus.current().broken
        if !broken.isEmpty {
            context.progress("reinstalling \(broken.joined(separator: ", "))")
            try Apt.withFreshLists(context) {
                try Apt.run(
                    ["install", "--reinstall", "--"] + broken, "Reinstalling \(broken.joined(separator: " "))", context)
            }
        }
        let left = try DpkgStatus.current().unfinished
        guard !left.isEmpty else { return }
        do {
            try Apt.run(["-f", "install"], "Repairing \(left.joined(separator: " "))", context)
        } catch {
            try renew(left, context)
        }
    }

    /// A package whose script fails stays broken until there is a better version of it. It must not keep others from
    /// being installed: whether what is wanted is there is judged after the transaction.
    private static func renew(_ names: [String], _ context: NodeContext) throws {
        do {
            try Apt.update(context)
            try Apt.run(["install", "--"] + names, "Renewing \(names.joined(separator: " "))", context)
        } catch let error as BasculeError where error.code == .packageFailed {
            context.progress("\(names.joined(separator: ", ")) cannot be configured; going on without")
        }
    }
}

/// Keeps services from starting during a transaction, before their configuration is there.
enum PolicyRC {
    private static let path = "/usr/sbin/policy-rc.d"
    private static let saved = "/usr/sbin/policy-rc.d.bascule-saved"
    private static let marker = "# Bascule: no service starts before it is configured."

    static func whileDenied(_ context: NodeContext, _ body: () throws -> Void) throws {
        try repair()
        if let own = try AtomicFile.read(path) {
            try AtomicFile.write(saved, own, Permissions(mode: 0o755), kind: "policy")
        } else {
            try ParentDirectory.find(saved)?.remove()
        }
        try AtomicFile.write(
            path, Array("#!/bin/sh\n\(marker)\nexit 101\n".utf8), Permissions(mode: 0o755), kind: "policy")
        let result = Result { try body() }
        try repair()
        try result.get()
    }

    /// Puts the node's own policy back where a crash left ours behind.
    static func repair() throws {
        let current = try AtomicFile.read(path)
        guard current.map({ String(decoding: $0, as: UTF8.self).contains(marker) }) == true else { return }
        if let own = try AtomicFile.read(saved) {
            try AtomicFile.write(path, own, Permissions(mode: 0o755), kind: "policy")
            try ParentDirectory.find(saved)?.remove()
        } else {
            try ParentDirectory.find(path)?.remove()
        }
    }
}
