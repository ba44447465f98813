/// One resource in a step, with what was observed when it was planned.
package struct ConvergeItem: Hashable, Codable, Sendable {
    package var desired: DesiredResource
    /// The observation's digest at planning; nil where nothing could be observed yet (a conditional step).
    package var before: Digest?
    /// The difference as planned; nil where it is conditional.
    package var change: Change?

    package init(desired: DesiredResource, before: Digest?, change: Change?) {
        (self.desired, self.before, self.change) = (desired, before, change)
    }
}

/// What a step does.
package enum StepAction: Hashable, Codable, Sendable {
    /// Brings resources of one node to what is desired.
    case converge([ConvergeItem])
    /// Moves or compares data on the node that it is for.
    case data(DataTask)
    /// An action of the migration.
    case migrate(MigrationTask)
    /// Creates a throwaway or rented node; done by the controller.
    case provision(NodeName)
    /// Puts the agent on a node over the administrator's own login; done by the controller.
    case bootstrap(NodeName)
}

/// How sure the preview is.
package enum Certainty: Hashable, Codable, Sendable {
    /// This very difference.
    case exact
    /// It depends on what another step leaves behind; the reason is for people.
    case conditional(reason: String)
    /// A command, shown whole.
    case opaque
}

/// One change, or one action of the migration, in a plan.
package struct Step: Hashable, Codable, Sendable {
    package var id: StepID
    package var phase: Phase
    /// Who executes it; nil is the controller.
    package var node: NodeName?
    /// One line for people.
    package var title: String
    package var action: StepAction
    package var requires: [StepID]
    package var certainty: Certainty
    package var reversal: Reversal
    package var cancellation: Cancellation
    /// Seconds.
    package var estimate: Double
    /// What undoes it when its segment fails later on, before T0.
    package var compensation: StepAction?
    /// Seconds within which a fresh login has to confirm, else the node puts back what was there; nil where a mistake
    /// cannot lock anybody out.
    package var confirmWithin: Double?

    package init(
        id: StepID, phase: Phase, node: NodeName?, title: String, action: StepAction, requires: [StepID] = [],
        certainty: Certainty = .exact, reversal: Reversal, cancellation: Cancellation = .runsToCompletion,
        estimate: Double,
        compensation: StepAction? = nil, confirmWithin: Double? = nil
    ) {
        (self.id, self.phase, self.node, self.title, self.action) = (id, phase, node, title, action)
        (self.requires, self.certainty, self.reversal) = (requires, certainty, reversal)
        (self.cancellation, self.estimate, self.compensation) = (cancellation, estimate, compensation)
        self.confirmWithin = confirmWithin
    }
}

/// How a step ended.
package struct StepResult: Hashable, Codable, Sendable {
    package enum Status: String, Hashable, Codable, Sendable {
        /// It changed something, and the result was verified.
        case done
        /// Nothing was left to do.
        case satisfied
        case failed
        /// What it was planned for had changed underneath.
        case refused
        /// A step that it needs did not end well.
        case skipped
        /// It cannot be reached on this machine; reported, not a failure.
        case unreachable
    }

    package var status: Status
    /// For people, one line.
    package var summary: String
    package var error: BasculeError?
    package var evidence: [Evidence]
    /// Seconds that it took.
    package var seconds: Double
    /// Resources that changed, with what changed.
    package var changes: [ResourceID: Change]
    /// What the step learnt and later steps of the segment, or the controller, need: kept in the journal.
    package var output: StepOutput?

    package init(
        _ status: Status, _ summary: String = "", error: BasculeError? = nil, evidence: [Evidence] = [],
        seconds: Double = 0,
        changes: [ResourceID: Change] = [:], output: StepOutput? = nil
    ) {
        (self.status, self.summary, self.error, self.evidence) = (status, summary, error, evidence)
        (self.seconds, self.changes, self.output) = (seconds, changes, output)
    }

    /// Steps that need this one may run.
    package var isGood: Bool { status == .done || status == .satisfied || status == .unreachable }
}

/// Typed results that outlive a step.
package enum StepOutput: Hashable, Codable, Sendable {
    case data(DataReport)
    case journey(JourneyResult)
    case watch(WatchReport)
    case decision(Decision)
}
