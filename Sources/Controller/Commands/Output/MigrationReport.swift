import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeNet
import BasculeStore
import Foundation

/// What a migration did, from the store's journal and evidence and, where there is one, a customer's own record.
struct MigrationReport: Encodable {
    struct PhaseTime: Encodable {
        var phase: String
        /// Seconds from the phase's first step to the end of its last.
        var seconds: Double
        var steps: Int
    }

    struct Orders: Encodable {
        var told: Int
        var inNewDatabase: Int
    }

    var fleet: String
    var outcome: String
    var started: Double
    var seconds: Double
    var phases: [PhaseTime]
    var evidence: [Evidence]
    var rollbackExpectedSeconds: Double?
    /// Measured: from the first undoing to the last.
    var rollbackMeasuredSeconds: Double?
    var customer: CustomerReport?
    var orders: Orders?
    var currency: String
    var costsBefore: [String: Double]
    var costsAfter: [String: Double]

    static func make(_ session: FleetSession) throws -> MigrationReport {
        let store = session.store
        let runs = try store.runs(limit: 200).reversed()
        var spans: [Phase: (first: Double, last: Double, steps: Int)] = [:]
        var evidence: [Evidence] = []
        var undo: (first: Double, last: Double)?
        var (outcome, started, ended, expected) = ("nothing was run", 0.0, 0.0, Double?.none)
        for run in runs {
            let plan = try store.plan(run.plan)
            guard
                let outline = plan.migration
                    ?? (plan.phases.contains(.finish)
                        ? MigrationOutline(
                            conductor: "", rollbackBudget: 0, rollbackExpected: 0, outageExpected: 0, newWrites: "")
                        : nil)
            else { continue }
            if outline.rollbackExpected > 0 { expected = outline.rollbackExpected }
            if started == 0 { started = run.started }
            outcome = run.outcome ?? "not ended"
            // A phase that ran again counts as it ran last; what a rolled back attempt proved was another attempt's.
            var own: [Phase: (first: Double, last: Double, steps: Int)] = [:]
            let phases = Dictionary(plan.steps.map { ($0.id, $0.phase) }, uniquingKeysWith: { $1 })
            for entry in try store.events(of: run.id) {
                ended = max(ended, entry.time)
                switch entry.event {
                case .started(let id, _):
                    guard let phase = phases[id] else { continue }
                    own[phase, default: (entry.time, entry.time, 0)].first = min(
                        own[phase]?.first ?? entry.time, entry.time)
                case .finished(let id, _):
                    guard let phase = phases[id] else { continue }
                    own[phase, default: (entry.time, entry.time, 0)].last = entry.time
                    own[phase]?.steps += 1
                case .rollingBack: undo = (entry.time, entry.time)
                case .compensated: undo?.last = entry.time
                case .accepted, .compensating, .note, .ended, .awaitingConfirmation: break
                }
            }
            spans.merge(own) { $1 }
            if own.keys.contains(.freeze) {
                evidence.removeAll { $0.subject.hasSuffix("equal") || $0.subject.hasSuffix("fence") }
            }
            evidence += try store.evidence(of: run.id)
        }
        let costs = session.fleet.costs
        return MigrationReport(
            fleet: session.fleet.name, outcome: outcome, started: started, seconds: max(0, ended - started),
            phases: spans.sorted { $0.key < $1.key }.map {
                PhaseTime(phase: $0.key.rawValue, seconds: $0.value.last - $0.value.first, steps: $0.value.steps)
            },
            evidence: evidence, rollbackExpectedSeconds: expected,
            rollbackMeasuredSeconds: undo.map { $0.last - $0.first }, customer: nil, orders: nil,
            currency: costs?.currency ?? "EUR", costsBefore: costs?.before ?? [:], costsAfter: costs?.after ?? [:])
    }

    mutating func add(_ attempts: [JourneyResult], old: Set<String>, new: Set<String>, orders stored: Int?) {
        customer = CustomerReport(attempts, old: old, new: new)
        if let stored {
            orders = Orders(told: CustomerReport.captured("order", in: attempts).count, inNewDatabase: stored)
        }
    }

    var markdown: String {
        var out = [
            "# Migration of \(fleet)", "",
            "Outcome: **\(outcome)**, \(seconds.durationText) from the first run to the last event.", "",
        ]
        let moved = evidence.filter { $0.subject.hasSuffix("equal") && $0.passed }
        if !moved.isEmpty {
            out += ["## Moved and proved equal", ""] + moved.map { "- \($0.subject): \($0.value)" } + [""]
        }
        if let customer {
            out += ["## What the customer saw", "", "| | |", "|---|---|"]
            out.append(
                "| write outage | \(customer.writeOutage.map { "**\(($0 / 1000).rounded(to: 2)) s**" } ?? "none: only one system took writes") |"
            )
            out.append(
                "| longest time without an accepted write | \((customer.longestWriteGap / 1000).rounded(to: 2)) s |")
            out.append("| read outage | \((customer.readOutage / 1000).rounded(to: 2)) s |")
            out.append(
                "| requests | \(customer.requests), \(customer.failed) failed, \(customer.maintenance) attempts met the maintenance page |"
            )
            if let orders {
                out.append(
                    "| orders the customer was told are placed, and found in the new database | **\(orders.inNewDatabase) of \(orders.told)** |"
                )
            }
            out += ["", "| latency | requests | p50 | p95 | p99 |", "|---|---|---|---|---|"]
            for (name, latency) in [("before", customer.before), ("after", customer.after)] {
                out.append(
                    "| \(name) | \(latency.count) | \(latency.p50.rounded(to: 1)) ms | \(latency.p95.rounded(to: 1)) ms | \(latency.p99.rounded(to: 1)) ms |"
                )
            }
            out.append("")
        }
        out += ["## Phases", "", "| phase | steps | time |", "|---|---|---|"]
        out += phases.map { "| \($0.phase) | \($0.steps) | \($0.seconds.durationText) |" }
        out += ["", "## Going back", ""]
        if let rollbackMeasuredSeconds {
            out.append(
                "It was rolled back before T0 in **\(rollbackMeasuredSeconds.durationText)**; the old system serves.")
        }
        if let rollbackExpectedSeconds {
            out.append("Rollback before T0 was priced at \(rollbackExpectedSeconds.durationText).")
        }
        let (before, after) = (costsBefore.values.reduce(0, +), costsAfter.values.reduce(0, +))
        if before + after > 0 {
            out += ["", "## Costs a month", "", "| before | | after | |", "|---|---|---|---|"]
            let (left, right) = (costsBefore.sorted { $0.key < $1.key }, costsAfter.sorted { $0.key < $1.key })
            for row in 0..<max(left.count, right.count) {
                let first = row < left.count ? "\(left[row].key) | \(left[row].value.rounded(to: 0))" : " | "
                let second = row < right.count ? "\(right[row].key) | \(right[row].value.rounded(to: 0))" : " | "
                out.append("| \(first) | \(second) |")
            }
            out.append(
                "| **sum** | **\(before.rounded(to: 0)) \(currency)** | **sum** | **\(after.rounded(to: 0)) \(currency)** |"
            )
            out += [
                "",
                "Saved: \((before - after).rounded(to: 0)) \(currency) a month, \(((before - after) * 12).rounded(to: 0)) \(currency) a year.",
            ]
        }
        let rest = evidence.filter { !$0.subject.hasSuffix("equal") }
        if !rest.isEmpty {
            out += ["", "## Evidence", "", "| | what | value | had to be | measured by |", "|---|---|---|---|---|"]
            out += rest.map {
                "| \($0.passed ? "✓" : "✗") | \($0.subject) | \($0.value.replacingOccurrences(of: "|", with: "/")) | \($0.threshold ?? "") | \($0.origin) |"
            }
        }
        return out.joined(separator: "\n") + "\n"
    }
}
