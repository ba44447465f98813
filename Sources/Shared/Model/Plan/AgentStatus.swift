/// Which state a migration's attempt is in, decided by the conductor's journal alone.
package enum T0State: String, Hashable, Codable, Sendable {
    case pending, open
    case rolledBack = "rolled-back"
}

/// What one agent is doing, for `bascule now`.
package struct AgentStatus: Hashable, Codable, Sendable {
    /// A segment that runs, or the last one that ran.
    package struct Activity: Hashable, Codable, Sendable {
        package var segment: SegmentID
        package var plan: PlanID
        package var phase: Phase?
        /// Steps that run now.
        package var running: [String]
        /// The next step that will run.
        package var next: String?
        package var stepsDone: Int
        package var stepsTotal: Int
        package var isCompensating: Bool
        package var waitingForDecision: Bool
        package var conducted: Bool
        /// Seconds until the freeze's lease runs out; nil outside of it.
        package var leaseLeft: Double?
        package var ended: SegmentOutcome.Status?

        package init(
            segment: SegmentID, plan: PlanID, phase: Phase?, running: [String], next: String?, stepsDone: Int,
            stepsTotal: Int,
            isCompensating: Bool, waitingForDecision: Bool, conducted: Bool, leaseLeft: Double?,
            ended: SegmentOutcome.Status?
        ) {
            (self.segment, self.plan, self.phase, self.running, self.next) = (segment, plan, phase, running, next)
            (self.stepsDone, self.stepsTotal, self.isCompensating) = (stepsDone, stepsTotal, isCompensating)
            (self.waitingForDecision, self.conducted, self.leaseLeft, self.ended) = (
                waitingForDecision, conducted, leaseLeft, ended
            )
        }
    }

    package var machine: String
    package var version: String
    package var epoch: Int
    /// Seconds since the agent started.
    package var uptime: Double
    /// Newest last; at most 20.
    package var activities: [Activity]
    package var migrationAttempt: Int
    package var t0: T0State?
    /// The old edge's mode where this node is one.
    package var edge: EdgeMode?
    package var lastSequence: Int
    /// What it keeps whole by itself; nil from an agent that does not.
    package var healing: HealingStatus?
    /// Whether its services serve; nil from an agent that does not say.
    package var services: [ServiceState]?

    package init(
        machine: String, version: String, epoch: Int, uptime: Double, activities: [Activity], migrationAttempt: Int,
        t0: T0State?,
        edge: EdgeMode?, lastSequence: Int, healing: HealingStatus? = nil, services: [ServiceState]? = nil
    ) {
        (self.machine, self.version, self.epoch, self.uptime) = (machine, version, epoch, uptime)
        (self.activities, self.migrationAttempt, self.t0) = (activities, migrationAttempt, t0)
        (self.edge, self.lastSequence, self.healing) = (edge, lastSequence, healing)
        self.services = services
    }
}
