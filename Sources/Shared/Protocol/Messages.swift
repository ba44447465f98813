import BasculeModel

/// The versions of the protocol that this build speaks.
package enum ProtocolVersion {
    package static let current = 1
    package static let oldest = 1
    /// The product's version, which both programs carry.
    package static let product = "0.1.0"
}

/// Greets the agent and says who is there.
package struct Hello: Hashable, Codable, Sendable {
    package var versions: [Int]
    package var product: String
    /// The fencing epoch of the controller; the agent refuses a lower one than it has seen.
    package var epoch: Int
    /// Who holds the lease, for people: `alice@laptop pid 4711`.
    package var holder: String
    /// X25519, hexadecimal, made for this connection alone: the answers that follow are bound to it. nil on the node
    /// itself, where nobody stands between.
    package var key: String?

    package init(versions: [Int], product: String, epoch: Int, holder: String, key: String? = nil) {
        (self.versions, self.product, self.epoch, self.holder) = (versions, product, epoch, holder)
        self.key = key
    }
}

/// The agent's answer to a greeting.
package struct Welcome: Hashable, Codable, Sendable {
    package var version: Int
    package var product: String
    /// The machine's identity: its machine-id, hashed with the fleet's name by the agent.
    package var machine: String
    package var architecture: String
    /// X25519, hexadecimal: what secrets are sealed to.
    package var sealingKey: String
    package var capabilities: [String]
    /// Tag of the secrets that the agent holds, as the controller gave it.
    package var secretsTag: String?
    package var epoch: Int
    package var migrationAttempt: Int
    package var t0: T0State?
    /// Random, for this connection alone: signed requests carry it.
    package var nonce: String
    /// The highest serial of a signed request that this node has seen.
    package var serial: Int
    /// Hexadecimal: that this is the holder of `sealingKey`, and that this welcome answers this very hello.
    package var proof: String?
    /// Digest over the canonical bytes of the manifest that the agent holds.
    package var manifest: Digest?
    /// The node's own clock, seconds since 1970; nil from agents that do not tell.
    package var clock: Double?
    /// Number of the newest event in the agent's outbox; nil from agents that do not tell.
    package var lastEvent: Int?

    package init(
        version: Int, product: String, machine: String, architecture: String, sealingKey: String,
        capabilities: [String],
        secretsTag: String?, epoch: Int, migrationAttempt: Int, t0: T0State?, nonce: String, serial: Int,
        proof: String? = nil, manifest: Digest? = nil, clock: Double? = nil, lastEvent: Int? = nil
    ) {
        (self.version, self.product, self.machine, self.architecture) = (version, product, machine, architecture)
        (self.sealingKey, self.capabilities, self.secretsTag) = (sealingKey, capabilities, secretsTag)
        (self.epoch, self.migrationAttempt, self.t0) = (epoch, migrationAttempt, t0)
        (self.nonce, self.serial, self.proof, self.manifest) = (nonce, serial, proof, manifest)
        (self.clock, self.lastEvent) = (clock, lastEvent)
    }
}

/// A secret that only its node can open.
package struct SealedSecret: Hashable, Codable, Sendable {
    package var name: SecretName
    /// Hexadecimal of crypto_box_seal's output.
    package var sealed: String
    package init(name: SecretName, sealed: String) { (self.name, self.sealed) = (name, sealed) }
}

/// What an administrator tells a running segment.
package enum SegmentCommand: String, Hashable, Codable, Sendable {
    case go, noGo = "no-go", rollback, hold, release
}

/// What a controller asks of an agent.
package enum Request: Hashable, Codable, Sendable {
    case hello(Hello)
    case facts
    /// Looks at resources; changes nothing.
    case observe([DesiredResource])
    /// Which of these uploads the agent does not have yet.
    case missingBlobs([Digest])
    /// Starts an upload; chunks follow, an empty one ends it. The agent checks size and digest.
    case putBlob(Digest, size: Int)
    /// Replaces the secrets of the node; `tag` comes back in the next welcome.
    case putSecrets([SealedSecret], tag: String)
    /// Hands over a segment, or finds it again by its id; events follow until it has ended.
    case submit(Segment)
    /// Watches a segment from a sequence number of the agent's journal on, until it has ended.
    case attach(SegmentID, from: Int)
    case command(SegmentID, SegmentCommand)
    case status
    /// The journal from a sequence number on, at most `limit` records.
    case journal(from: Int, limit: Int)
    case snapshots
    /// Restores the configuration of before a segment.
    case restore(SegmentID)
    /// One of the edge's words, on the edge itself.
    case edge(EdgeMode, lease: Int?)
    /// Has the agent make (once) an SSH key pair for a purpose, and answer the public line.
    case publicKey(purpose: String)
    /// Replaces the agent's program by an upload and starts it again, on trial for so many seconds: the previous one
    /// comes back by itself unless `keepProgram` reaches the new one in time.
    case upgrade(Digest, trial: Double)
    /// Keeps an upload as a backup of the controller's store, encrypted by it; old ones go. Of two the one with the
    /// higher number is newer.
    case keepBackup(Digest, number: Int)
    /// The store backups that this node keeps, newest first.
    case backups
    /// Takes the agent off the node: keys, user, state, program. What it configured stays.
    case leave
    /// All that the fleet file says about this node: what is as it says is healed from now on, what is not named any
    /// more is left alone.
    case manifest([DesiredResource])
    /// Healing leaves a resource, or with nil the whole node, alone; `seconds` nil until it is released.
    case hold(ResourceID?, seconds: Double?, reason: String)
    /// Ends a hold; nil ends them all.
    case release(ResourceID?)
    /// What the agent noticed and did by itself, from a sequence number on, at most `limit` events.
    case outbox(from: Int, limit: Int)
    /// Keeps a change that waits for it. Counts only over an SSH connection that was made after the change.
    case confirm(SegmentID, StepID)
    /// Which program the agent is.
    case program
    /// Ends the trial of the program that runs: it stays.
    case keepProgram(Digest)
    /// Lets an SSH key in that may release one app and nothing else. A token of the same name is replaced.
    case admitToken(name: String, app: String, key: String)
    /// Locks a token's key out.
    case revokeToken(name: String)
    /// A word of a key rotation.
    case rotate(KeyRotation)
    /// What the apps of this node threw, those of one app if one is named, seen since a time (seconds since 1970).
    case errors(app: String?, since: Double)
    /// Sends a test alert through this node's Alertmanager; accepted once each of these channels (`email`, `webhook`)
    /// has taken a notification.
    case testAlert(channels: [String], seconds: Double)
    /// Reads counters of services, for a benchmark.
    case measure([Gauge])
    /// Measures PostgreSQL with and without PgBouncer, in a database of its own that goes again. Puts the node under
    /// full load.
    case comparePooling(PoolTrial)
    /// Asks the program that makes a kind of backup (`postgresql`) what it knows; it changes nothing. The words begin with
    /// `state`, `forecast` or `restored`.
    case askBackup(kind: String, words: [String])
}

/// What came of a request.
package enum Reply: Hashable, Codable, Sendable {
    case welcome(Welcome)
    case facts(NodeFacts)
    case observations([Observation])
    case digests([Digest])
    case accepted
    case ended(SegmentOutcome)
    case status(AgentStatus)
    case journal([JournalRecord])
    case snapshots([SnapshotInfo])
    case restored([ResourceID: String])
    case publicKey(String)
    case refused(BasculeError)
    case backups([BackupInfo])
    case outbox([AgentEvent])
    case errors([ErrorGroup])
    /// In the order of the gauges.
    case measured([Reading])
    /// In the order in which they are to be shown.
    case pooling([PoolFigure])
    /// What a program said, as it said it.
    case text(String)
}

/// What is told while a request is worked on.
package enum Event: Hashable, Codable, Sendable {
    case journal(JournalRecord)
    case progress(StepProgress)
    /// Still there: at least every ten seconds while a segment runs.
    case alive
}

/// A configuration snapshot on a node.
package struct SnapshotInfo: Hashable, Codable, Sendable {
    package var segment: SegmentID
    package var plan: PlanID
    /// Seconds since 1970.
    package var time: Double
    package var resources: [ResourceID]

    package init(segment: SegmentID, plan: PlanID, time: Double, resources: [ResourceID]) {
        (self.segment, self.plan, self.time, self.resources) = (segment, plan, time, resources)
    }
}

/// A backup of the controller's store on a node, readable only with the fleet's recovery key.
package struct BackupInfo: Hashable, Codable, Sendable {
    /// The controller's own: grows with every backup, and with every adoption of the fleet.
    package var number: Int
    /// Seconds since 1970 by the node's clock.
    package var time: Double
    package var digest: Digest
    /// Bytes.
    package var size: Int

    package init(number: Int, time: Double, digest: Digest, size: Int) {
        (self.number, self.time, self.digest, self.size) = (number, time, digest, size)
    }
}
