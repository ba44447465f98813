import BasculeModel

/// Where the agent keeps what. Everything hangs below two directories, so that a test can have its own.
package struct AgentPaths: Sendable {
    /// `/var/lib/bascule`: survives a boot, root only.
    package var state: String
    /// `/run/bascule`: gone after a boot.
    package var runtime: String

    package init(state: String = "/var/lib/bascule", runtime: String = "/run/bascule") {
        (self.state, self.runtime) = (state, runtime)
    }

    var journal: String { "\(state)/journal/current" }
    var identity: String { "\(state)/identity.json" }
    var secrets: String { "\(state)/secrets.json" }
    var blobs: String { "\(state)/blobs" }
    var snapshots: String { "\(state)/snapshots" }
    var keys: String { "\(state)/keys" }
    var edge: String { "\(state)/edge.json" }
    /// Whose requests the node obeys; only root's own commands write it.
    var controller: String { "\(state)/controller.json" }
    /// Who may log in as the agent's user. An agent with a folder of its own has no door in sshd.
    var authorizedKeys: String { state == "/var/lib/bascule" ? AuthorizedKeys.path : "\(state)/authorized_keys" }
    /// Segments as they were signed.
    var signed: String { "\(state)/segments" }
    /// Manifests as they were signed.
    var manifests: String { "\(state)/manifests" }
    /// Backups of the controller's store, unreadable here.
    var backups: String { "\(state)/backups" }
    /// Where the forced command of the old edge speaks: nothing but its three words is understood there.
    package var edgeSocket: String { "\(runtime)/edge.sock" }
    /// Where the forced command of a token speaks: nothing but the release of its app is understood there.
    package var releaseSocket: String { "\(runtime)/release.sock" }
    /// Which token may release which app.
    package var tokens: String { "\(state)/tokens.json" }
    var settings: String { "\(state)/settings.json" }
    var healSet: String { "\(state)/heal.json" }
    var holds: String { "\(state)/holds.json" }
    var drift: String { "\(state)/drift.json" }
    var outbox: String { "\(state)/outbox" }
    /// The last test alert that arrived.
    var testAlert: String { "\(state)/test-alert.json" }
    /// What the apps threw, grouped.
    var errors: String { "\(state)/errors" }
    /// Where node_exporter finds metrics as text; only agents with their own place on the node write there.
    var metrics: String? { state == "/var/lib/bascule" ? "/var/lib/prometheus/node-exporter" : nil }
    /// Blocks that are given up first when the disk runs full.
    var reserve: String { "\(state)/reserve" }
    /// A program on trial, and one that did not stay.
    var trial: String { "\(state)/trial.json" }
    var failedTrial: String { "\(state)/trial-failed.json" }
    var loginGuard: String { "\(state)/login-guard.json" }
    package var socket: String { "\(runtime)/agent.sock" }
    /// The installed program.
    package static let program = "/usr/local/lib/bascule/bascule-agent"
    /// The user that the controller's key logs in as.
    package static let user = "bascule"
}
