import BasculeModel
import BasculeNet
import BasculeResources
import Glibc
import Synchronization

/// The old edge's part: one Nginx file that takes the site's domains over, and its three modes.
///
/// The file stands in `conf.d`, which Debian's Nginx reads before `sites-enabled`: of two servers with the same name the
/// first wins, so the old configuration stays untouched and comes back when the file goes.
package final class EdgeKeeper: Sendable {
    struct State: Codable {
        var spec: EdgeSpec
        var mode: EdgeMode
        /// Seconds since 1970 at which maintenance ends by itself; nil for never.
        var leaseEnds: Double?
        /// The file of mode `old`: port 80 as it was, but for the authority's questions; nil for no file.
        var forwarding: String?
    }

    static let configuration = "/etc/nginx/conf.d/00-bascule-edge.conf"
    private let paths: AgentPaths
    private let lock = Mutex(())

    init(paths: AgentPaths) { self.paths = paths }

    private func load() throws -> State? { try DurableFile.load(State.self, from: paths.edge) }

    /// The present mode; nil where this node is no edge.
    package var mode: EdgeMode? { (try? load())?.mode }

    /// Notes the edge's part and lets the conductor's key in for its three words; customers see nothing of it.
    /// - Returns: what is left to do by hand, nil where nothing is.
    @discardableResult
    func install(_ spec: EdgeSpec) throws -> String? {
        try lock.withLock { _ in
            let known = try load()
            try DurableFile.makeDirectory(SiteGate.directory, mode: 0o755)
            if let line = spec.conductorKey {
                try AuthorizedKeys.admit(line, command: "\(AgentPaths.program) edge", purpose: "conductor")
            }
            var state = State(
                spec: spec, mode: known?.mode ?? .old, leaseEnds: known?.leaseEnds, forwarding: known?.forwarding)
            if spec.challenges != true { state.forwarding = nil }
            let forwards = state.mode == .old && spec.challenges == true
            let todo = forwards ? try forwardChallenges(&state, known) : nil
            try apply(state)
            try DurableFile.save(state, to: paths.edge)
            return todo
        }
    }

    /// Passes the authority's questions on to the new system while everything else stays as it is: that is compared
    /// before and after, and where it does not hold, all is taken back.
    private func forwardChallenges(_ state: inout State, _ known: State?) throws -> String? {
        if known?.forwarding != nil, known?.spec == state.spec { return nil }
        state.forwarding = nil
        try apply(state)
        let before = try EdgeProbe.look(state.spec.domains)
        guard let text = EdgeConfiguration.old(state.spec, answers: before) else {
            return EdgeConfiguration.todo(state.spec, "its port 80 is no mere way to TLS, and no upstream is declared")
        }
        state.forwarding = text
        do {
            try apply(state)
            let after = try EdgeProbe.look(state.spec.domains)
            guard after == before else {
                throw BasculeError(.checkFailed, "port 80 answered \(after) where it had answered \(before)")
            }
            return nil
        } catch {
            state.forwarding = nil
            try apply(state)
            return EdgeConfiguration.todo(state.spec, BasculeError.wrapping(error, "it failed").message)
        }
    }

    /// Gives the domains back to the old configuration and locks the conductor out.
    func remove() throws {
        try lock.withLock { _ in
            guard var state = try load() else { return }
            state.mode = .old
            state.forwarding = nil
            try apply(state)
            try AuthorizedKeys.remove(purpose: "conductor")
            unlink(paths.edge)
        }
    }

    /// Takes one of the three modes; `lease` seconds limit maintenance.
    package func set(_ mode: EdgeMode, lease: Int?) throws {
        try lock.withLock { _ in
            guard var state = try load() else {
                throw BasculeError(
                    .unsupported, "this node was not prepared as the old edge",
                    hint: "run bascule apply: its phase prepare does it")
            }
            let changed = state.mode != mode
            state.mode = mode
            state.leaseEnds = mode == .maintenance ? lease.map { WallClock.now() + Double($0) } : nil
            // Saved first: after a crash in between the mode is taken up again.
            try DurableFile.save(state, to: paths.edge)
            if changed { try apply(state) }
        }
    }

    /// Takes up the saved mode after a crash, and ends a maintenance whose lease has run out. Called every second.
    func tick() {
        lock.withLock { _ in
            guard var state = try? load(), state.mode == .maintenance, let ends = state.leaseEnds,
                WallClock.now() > ends
            else { return }
            StandardError.write(
                line: "the maintenance lease ran out and nobody renewed it: the old system answers again")
            (state.mode, state.leaseEnds) = (.old, nil)
            try? DurableFile.save(state, to: paths.edge)
            try? apply(state)
        }
    }

    /// Makes Nginx do what the state says.
    func restore() throws { try lock.withLock { _ in if let state = try load() { try apply(state) } } }

    private func apply(_ state: State) throws {
        for domain in state.spec.domains {
            if state.mode == .maintenance {
                try DurableFile.write([], to: SiteGate.flag("edge-\(domain)"), mode: 0o644)
            }
        }
        let wanted = state.mode == .old ? state.forwarding : EdgeConfiguration.text(state.spec)
        if try DurableFile.read(Self.configuration).map({ String(decoding: $0, as: UTF8.self) }) != wanted {
            if let wanted {
                try DurableFile.write(Array(wanted.utf8), to: Self.configuration, mode: 0o644)
            } else {
                unlink(Self.configuration)
            }
            do {
                try Subprocess.require(
                    ["nginx", "-t", "-q"], "the check of the old edge's Nginx configuration", code: .checkFailed)
            } catch {
                unlink(Self.configuration)
                throw error
            }
            try NginxWorkers.reload()
        }
        if state.mode != .maintenance {
            for domain in state.spec.domains { unlink(SiteGate.flag("edge-\(domain)")) }
        }
        if let domain = state.spec.domains.first { try EdgeProbe.wait(for: state.mode, domain: domain) }
    }
}
