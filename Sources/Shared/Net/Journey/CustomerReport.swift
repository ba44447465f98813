import BasculeModel

/// What a synthetic customer lived through, computed from its record. Times in milliseconds; moments since 1970.
package struct CustomerReport: Hashable, Codable, Sendable {
    /// Percentiles by nearest rank; all zero without a sample.
    package struct Latencies: Hashable, Codable, Sendable {
        package var count: Int
        package var p50: Double
        package var p95: Double
        package var p99: Double

        package init(_ samples: [Double]) {
            let sorted = samples.sorted()
            func rank(_ percent: Int) -> Double {
                sorted.isEmpty ? 0 : sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
            }
            (count, p50, p95, p99) = (sorted.count, rank(50), rank(95), rank(99))
        }
    }

    /// Requests sent, cleanup included.
    package var requests = 0
    /// Those with no answer or a wrong one; the maintenance page is not among them.
    package var failed = 0
    /// Those of `failed` that had no answer at all.
    package var unreachable = 0
    /// Those that met the maintenance page: outage, not error.
    package var maintenance = 0
    /// Writes that the app said it has accepted, by system (`servedBy`, else address).
    package var acceptedWrites: [String: Int] = [:]
    /// When the old system's last accepted write was answered, and the new one's first.
    package var lastOldWrite: Double?
    package var firstNewWrite: Double?
    /// From the one to the other; negative would mean that both took writes at once. Nil without both.
    package var writeOutage: Double?
    /// The longest time between two accepted writes, or two good reads, with a refused one in between: 0 if none ever
    /// was. Its resolution is the pace of the lane.
    package var longestWriteGap = 0.0
    package var readOutage = 0.0
    /// Of good answers, cleanup excluded, by the old system and by the new one.
    package var before = Latencies([])
    package var after = Latencies([])

    /// Pure. `old` and `new` name the systems as `JourneyStepResult.system` does.
    package init(_ attempts: [JourneyResult], old: Set<String>, new: Set<String>) {
        let steps = attempts.flatMap(\.steps).filter { $0.status != nil || !$0.ok }.sorted { $0.endedAt < $1.endedAt }
        requests = steps.count
        for attempt in attempts {
            switch attempt.outcome {
            case .ok: break
            case .maintenance: maintenance += 1
            case .unreachable:
                unreachable += 1
                failed += 1
            case .failed: failed += 1
            }
            failed += attempt.steps.filter { $0.cleanup && !$0.ok }.count
        }
        let walked = steps.filter { !$0.cleanup }
        let accepted = walked.filter { $0.write && $0.ok }
        for write in accepted { acceptedWrites[write.system ?? "", default: 0] += 1 }
        lastOldWrite = accepted.last { $0.isBy(old) }?.endedAt
        firstNewWrite = accepted.first { $0.isBy(new) }?.endedAt
        if let lastOldWrite, let firstNewWrite { writeOutage = firstNewWrite - lastOldWrite }
        longestWriteGap = Self.longestGap(Self.writes(attempts))
        readOutage = Self.longestGap(walked.filter { !$0.write })
        before = Latencies(walked.filter { $0.ok && $0.isBy(old) }.map(\.milliseconds))
        after = Latencies(walked.filter { $0.ok && $0.isBy(new) }.map(\.milliseconds))
    }

    /// The writes, and with them whatever kept a customer who came to write from getting so far.
    private static func writes(_ attempts: [JourneyResult]) -> [JourneyStepResult] {
        let writing = Set(attempts.filter { $0.steps.contains { $0.write && !$0.cleanup } }.map(\.journey))
        let steps = attempts.flatMap { attempt in
            attempt.steps.filter { step in
                !step.cleanup && (step.write || !step.ok && writing.contains(attempt.journey))
            }
        }
        return steps.sorted { $0.endedAt < $1.endedAt }
    }

    /// Steps by their end → the longest time from a good one to the next good one with a bad one in between.
    static func longestGap(_ steps: [JourneyStepResult]) -> Double {
        var longest = 0.0
        var lastGood: Double?
        var bad = false
        for step in steps {
            if step.ok {
                if bad, let lastGood { longest = max(longest, step.endedAt - lastGood) }
                (lastGood, bad) = (step.endedAt, false)
            } else {
                bad = true
            }
        }
        return longest
    }

    /// Every value captured under a name, in order: what the customer was told (the numbers of its orders).
    package static func captured(_ name: String, in attempts: [JourneyResult]) -> [String] {
        attempts.compactMap { $0.captured[name] }
    }
}

extension JourneyStepResult {
    fileprivate func isBy(_ systems: Set<String>) -> Bool { system.map(systems.contains) ?? false }
}
