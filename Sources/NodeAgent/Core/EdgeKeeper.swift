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
    }

    static let configuration = "/etc/nginx/conf.d/00-bascule-edge.conf"
    private let paths: AgentPaths
    private let lock = Mutex(())

    init(paths: AgentPaths) { self.paths = paths }

    private func load() throws -> State? { try DurableFile.load(State.self, from: paths.edge) }

    /// The present mode; nil where this node is no edge.
    package var mode: EdgeMode? { (try? load())?.mode }

    /// Notes the edge's part and lets the conductor's key in for its three words; customers see nothing of it.
    func install(_ spec: EdgeSpec) throws {
        try lock.withLock { _ in
            let known = try load()
            try DurableFile.makeDirectory(SiteGate.directory, mode: 0o755)
            if let line = spec.conductorKey {
                try AuthorizedKeys.admit(line, command: "\(AgentPaths.program) edge", purpose: "conductor")
            }
            let state = State(spec: spec, mode: known?.mode ?? .old, leaseEnds: known?.leaseEnds)
            if state.mode != .old { try apply(state) }
            try DurableFile.save(state, to: paths.edge)
        }
    }

    /// Gives the domains back to the old configuration and locks the conductor out.
    func remove() throws {
        try lock.withLock { _ in
            guard var state = try load() else { return }
            state.mode = .old
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
        let wanted = state.mode == .old ? nil : EdgeConfiguration.text(state.spec)
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
            try Subprocess.require(["systemctl", "reload", "nginx"], "reloading the old edge's Nginx")
        }
        if state.mode != .maintenance {
            for domain in state.spec.domains { unlink(SiteGate.flag("edge-\(domain)")) }
        }
        if let domain = state.spec.domains.first { try EdgeProbe.wait(for: state.mode, domain: domain) }
    }
}

/// The text of the edge's Nginx file.
enum EdgeConfiguration {
    static func text(_ spec: EdgeSpec) -> String {
        var out = "# Written by bascule-agent for the migration; removed by it. Do not edit.\n"
        let six = access("/proc/net/if_inet6", F_OK) == 0
        for domain in spec.domains {
            out += "server {\n    listen 80;\n"
            if six { out += "    listen [::]:80;\n" }
            if let certificate = spec.certificate, let key = spec.key {
                out += "    listen 443 ssl;\n"
                if six { out += "    listen [::]:443 ssl;\n" }
                out += "    ssl_certificate \(certificate);\n    ssl_certificate_key \(key);\n"
            }
            out += """
                    server_name \(domain);
                    client_max_body_size 64m;
                    error_page 503 @maintenance;
                    location / {
                        if (-f \(SiteGate.flag("edge-\(domain)"))) { return 503; }
                        proxy_pass https://\(spec.newAddress);
                        proxy_ssl_server_name on;
                        proxy_ssl_name \(domain);
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Host \(domain);
                        proxy_set_header X-Forwarded-For $remote_addr;
                        proxy_set_header X-Forwarded-Proto $scheme;
                        proxy_connect_timeout 5s;
                    }
                    location @maintenance {
                        internal;
                        default_type text/html;
                        charset utf-8;
                        add_header Retry-After \(spec.retryAfter) always;
                        add_header Cache-Control no-store always;
                        return 503 '<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Maintenance</title><body style="font-family:system-ui;max-width:36em;margin:15vh auto;padding:0 1em"><h1>Nous revenons tout de suite</h1><p>La boutique est en maintenance pour quelques instants. Vos commandes et votre compte sont intacts.</p><h2 lang="en">We will be right back</h2><p lang="en">The shop is under maintenance for a moment. Your orders and your account are safe.</p></body></html>';
                    }
                }

                """
        }
        return out
    }
}
