/// A directed acyclic graph of steps in phases, saved before it runs.
package struct Plan: Hashable, Codable, Sendable {
    package var id: PlanID
    package var fleet: String
    package var topology: String
    /// SHA-256 of the fleet file that it was made from.
    package var revision: Digest
    /// Seconds since 1970.
    package var created: Double
    package var steps: [Step]
    /// Resources that need nothing, with the reason.
    package var satisfied: [ResourceID: String]
    /// Resources that can never be reached here, with the reason.
    package var unreachable: [ResourceID: String]
    /// Set where the plan holds a migration.
    package var migration: MigrationOutline?

    package init(
        id: PlanID, fleet: String, topology: String, revision: Digest, created: Double, steps: [Step],
        satisfied: [ResourceID: String] = [:], unreachable: [ResourceID: String] = [:],
        migration: MigrationOutline? = nil
    ) {
        (self.id, self.fleet, self.topology, self.revision, self.created) = (id, fleet, topology, revision, created)
        (self.steps, self.satisfied, self.unreachable, self.migration) = (steps, satisfied, unreachable, migration)
    }

    /// The phases that have steps, in order.
    package var phases: [Phase] { Set(steps.map(\.phase)).sorted() }

    /// Seconds on the longest path through the graph: what the whole takes if nothing waits.
    package var estimate: Double {
        var finish: [StepID: Double] = [:]
        var phaseStart = 0.0
        for phase in phases {
            var phaseEnd = phaseStart
            for step in steps where step.phase == phase {
                let start = step.requires.compactMap { finish[$0] }.max() ?? phaseStart
                finish[step.id] = max(start, phaseStart) + step.estimate
                phaseEnd = max(phaseEnd, finish[step.id] ?? 0)
            }
            phaseStart = phaseEnd
        }
        return phaseStart
    }

    /// Seconds that going back over all reversible steps takes, one after the other.
    package var rollbackPrice: Double {
        steps.reduce(0) { if case .reversible(let seconds) = $1.reversal { $0 + seconds } else { $0 } }
    }
}

/// What a plan's migration promises, for the preview.
package struct MigrationOutline: Hashable, Codable, Sendable {
    /// The node whose agent conducts from freeze to watch.
    package var conductor: NodeName
    /// Seconds that a rollback before T0 may take, and is expected to.
    package var rollbackBudget: Double
    package var rollbackExpected: Double
    /// Seconds from the last write accepted by the old system to the first by the new one.
    package var outageExpected: Double
    /// What becomes of writes after T0 if it is rolled back then.
    package var newWrites: String

    package init(
        conductor: NodeName, rollbackBudget: Double, rollbackExpected: Double, outageExpected: Double, newWrites: String
    ) {
        (self.conductor, self.rollbackBudget) = (conductor, rollbackBudget)
        (self.rollbackExpected, self.outageExpected, self.newWrites) = (rollbackExpected, outageExpected, newWrites)
    }
}

/// The steps that one agent executes without anyone else: what is sent, signed and journaled as one.
package struct Segment: Hashable, Codable, Sendable {
    /// What happens when a step fails.
    package enum OnFailure: Hashable, Codable, Sendable {
        /// Steps that need it are skipped, others go on.
        case skipDependents
        /// Everything that began is compensated in reverse order, unless T0 has passed.
        case compensate
    }

    package var id: SegmentID
    package var plan: PlanID
    package var run: RunID
    package var node: NodeName
    /// The controller's fencing epoch; an agent refuses a lower one than it has seen.
    package var epoch: Int
    /// Grows with every segment that a controller sends to a node.
    package var serial: Int
    package var steps: [Step]
    package var onFailure: OnFailure
    /// The migration's conducted part: lease and policy while nobody else is there.
    package var lease: MigrationLease?

    package init(
        id: SegmentID, plan: PlanID, run: RunID, node: NodeName, epoch: Int, serial: Int, steps: [Step],
        onFailure: OnFailure = .skipDependents, lease: MigrationLease? = nil
    ) {
        (self.id, self.plan, self.run, self.node, self.epoch, self.serial) = (id, plan, run, node, epoch, serial)
        (self.steps, self.onFailure, self.lease) = (steps, onFailure, lease)
    }
}

/// How a segment ended.
package struct SegmentOutcome: Hashable, Codable, Sendable {
    package enum Status: String, Hashable, Codable, Sendable {
        case converged, failed
        case rolledBack = "rolled-back"
        /// The compensation itself failed: a person has to look.
        case stuck
    }
    package var status: Status
    package var results: [StepID: StepResult]
    /// Results of the compensations, by the step that they undo.
    package var compensations: [StepID: StepResult]

    package init(_ status: Status, results: [StepID: StepResult], compensations: [StepID: StepResult] = [:]) {
        (self.status, self.results, self.compensations) = (status, results, compensations)
    }
}
