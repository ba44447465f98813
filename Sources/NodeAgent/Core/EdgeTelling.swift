import BasculeModel
import BasculeNet
import BasculeResources
import Glibc
import Synchronization

extension SegmentPerformer {
    /// Says one of the three words to the old edge over its forced command, and keeps a maintenance alive from then on.
    func tellEdge(_ link: EdgeLink, _ mode: EdgeMode) async throws -> StepResult {
        edgeRenewal.stop()
        let services = services
        try await Blocking.run { try EdgeTelling.say(link, mode, paths: services.paths) }
        if mode == .maintenance { keepUp(link) }
        return StepResult(.done, "the old edge is in mode \(mode.rawValue)")
    }
}

/// The SSH login to the old edge.
enum EdgeTelling {
    /// Throws `edge-unreachable` after three attempts.
    static func say(_ link: EdgeLink, _ mode: EdgeMode, paths: AgentPaths) throws {
        let knownHosts = "\(paths.keys)/edge.known_hosts"
        let name = link.port == 22 ? link.host : "[\(link.host)]:\(link.port)"
        try DurableFile.write(Array("\(name) \(link.hostKey)\n".utf8), to: knownHosts)
        var cause: String?
        for attempt in 0..<3 {
            if attempt > 0 { usleep(500_000) }
            var options = Subprocess.Options()
            // One login for all words: the last one is said while customers wait. A shared connection that has broken
            // is not tried twice, nor waited for.
            let socket = "\(paths.keys)/edge.%C"
            // A socket's path has at most 107 bytes: 40 of them for the name of the connection, 17 for ssh's own suffix.
            let shared = attempt == 0 && paths.keys.utf8.count < 40
            options.deadline = .seconds(shared ? 8 : 20)
            let words = [
                "ssh", "-F", "none", "-i", ConductorKey.path("conductor", paths: paths), "-o", "BatchMode=yes",
                "-o", "IdentitiesOnly=yes",
                "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(knownHosts)", "-o",
                "GlobalKnownHostsFile=/dev/null",
                "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5",
                "-o", "ControlMaster=\(shared ? "auto" : "no")", "-o", "ControlPath=\(shared ? socket : "none")",
                "-o", "ControlPersist=\(link.lease)", "-p", "\(link.port)",
                "\(link.user)@\(link.host)", "--",
                mode == .maintenance ? "maintenance \(link.lease)" : mode.rawValue,
            ]
            do {
                let outcome = try Subprocess.run(words, options)
                if outcome.status == 0, outcome.text.hasPrefix("ok \(mode.rawValue)") { return }
                cause = outcome.cause()
            } catch let error as BasculeError where error.code == .timedOut { cause = error.message }
        }
        throw BasculeError(
            .edgeUnreachable, "the old edge \(link.host) did not take the word \(mode.rawValue)", cause: cause,
            hint: "can this node reach it by SSH on port \(link.port)? bascule apply tries again")
    }
}

extension ErrorCode {
    /// The old edge could not be told what to show.
    package static let edgeUnreachable: ErrorCode = "edge-unreachable"
}

/// Repeats something until it is stopped: the maintenance lease of the old edge.
final class EdgeRenewal: Sendable {
    private let task = Mutex<Task<Void, Never>?>(nil)

    func start(every seconds: Double, _ body: @escaping @Sendable () -> Void) {
        task.withLock { current in
            current?.cancel()
            current = Task {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(seconds))
                    if Task.isCancelled { return }
                    _ = try? await Blocking.run { body() }
                }
            }
        }
    }

    func stop() {
        task.withLock {
            $0?.cancel()
            $0 = nil
        }
    }
}

/// Asks the edge's own Nginx, as a customer would, until it behaves as its mode says: a reload takes a moment.
enum EdgeProbe {
    /// What port 80 says to a path, as far as it shows who answers.
    struct Answer: Equatable, CustomStringConvertible {
        var status: Int
        var location: String?
        var description: String { [String(status), location].compactMap { $0 }.joined(separator: " ") }
    }

    /// The first page, and one that hardly exists.
    static let paths = ["/", "/bascule-look?at=it"]

    /// What this machine's port 80 answers to `paths`, by domain.
    static func look(_ domains: [String]) throws -> [String: [Answer]] {
        guard let address = IPAddress("127.0.0.1") else { return [:] }
        var found: [String: [Answer]] = [:]
        for domain in domains {
            found[domain] = try paths.map { path in
                let client = HTTPClient(HTTPClient.Options(connectTo: .address(address, port: 80)))
                let response = try client.request("GET", "http://\(domain)\(path)", deadline: .seconds(10))
                return Answer(status: response.status, location: response.headers["Location"])
            }
        }
        return found
    }

    static func wait(for mode: EdgeMode, domain: String) throws {
        guard mode == .maintenance, let address = IPAddress("127.0.0.1") else { return }
        let end = Deadline.seconds(5)
        var last = "no answer"
        while !end.passed {
            let client = HTTPClient(HTTPClient.Options(connectTo: .address(address, port: 80)))
            if let response = try? client.request("GET", "http://\(domain)/", deadline: .seconds(2)) {
                if response.status == 503, response.headers["Retry-After"] != nil { return }
                last = "status \(response.status)"
            }
            usleep(5_000)
        }
        throw BasculeError(
            .checkFailed, "the old edge does not show the maintenance page for \(domain): \(last)",
            hint:
                "does another file in /etc/nginx/conf.d name this domain, or does the old system not use Nginx on port 80?"
        )
    }
}
