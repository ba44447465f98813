import BasculeModel
import BasculeProviders
import Foundation

/// What can still be seen of a command that does not end: told before its deadline ends it, and with it all traces.
enum Stuck {
    /// Runs `body`, which has `deadline`; prints what its processes wait for shortly before.
    static func watched<Result: Sendable>(
        _ words: [String], _ deadline: Duration, lab: Lab, _ body: () async throws -> Result
    ) async throws -> Result {
        guard deadline > .seconds(60) else { return try await body() }
        let watch = Task {
            try await Task.sleep(for: deadline - .seconds(30))
            print("bascule \(words.joined(separator: " ")) does not end:\n\(await report(lab))")
        }
        defer { watch.cancel() }
        return try await body()
    }

    private static func report(_ lab: Lab) async -> String {
        var text = ""
        let own = "\(getpid())"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] where Int(name) != nil {
            let status = read("/proc/\(name)/status")
            guard status.contains("\nPPid:\t\(own)\n") else { continue }
            text += "\(name): \(read("/proc/\(name)/cmdline").replacing("\0", with: " "))\n"
            for task in list("/proc/\(name)/task") {
                let path = "/proc/\(name)/task/\(task)"
                text += "  \(task) \(read("\(path)/wchan")) \(read("\(path)/syscall"))"
            }
            for descriptor in list("/proc/\(name)/fd") {
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(name)/fd/\(descriptor)")
                text += "  \(descriptor) → \(target ?? "?")\n"
            }
        }
        text += await output(["ss", "-tnp"])
        for node in (try? await lab.list()) ?? [] {
            let seen = try? await lab.exec(
                node.name,
                [
                    "sh", "-c",
                    "ps -eo pid,ppid,stat,wchan:20,etimes,args | grep -v ' \\['; ss -tnp; tail -c 2000 /var/lib/bascule/journal/current; journalctl -q --no-pager -n 30",
                ], deadline: .seconds(10))
            text += "\(node.name):\n\(seen?.text ?? "is silent")\n"
        }
        return text
    }

    private static func list(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    private static func read(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    private static func output(_ argv: [String]) async -> String {
        (try? await Command.run(argv, deadline: .seconds(10)))?.text ?? ""
    }
}
