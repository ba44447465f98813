import BasculeModel

/// A source as the freeze sees it: its fence's tasks, and about how long they take in seconds.
private struct FencedSource {
    let name: String
    let capture: DataTask
    let acquire: DataTask
    let prove: DataTask
    let release: DataTask
    /// Its fence and its proof use an account of one name on the source's server, which may be another source's too.
    var isAlone = false
    let seconds: (capture: Double, acquire: Double, release: Double, prove: Double)
}

/// What the freeze's steps leave to those after them.
struct FrozenSources {
    /// No writer is left once these are done.
    var fenced: [StepID]
    /// That this is so has been proved, and what is archived before the sync is archived.
    var proved: [StepID]
}

extension MigrationPlanner {
    /// Notes the writers while customers still write, shows the maintenance page, fences every source and proves it.
    mutating func addFreeze(
        _ edge: EdgeLink?, _ postgres: [(String, PostgresMove)], _ redis: [(String, RedisMove)]
    ) throws -> FrozenSources {
        let sources = try fencedSources(postgres, redis)
        // Reading who may write takes its time, and changes nothing.
        let noted = sources.map { source in
            add(
                .freeze, "\(source.name)-capture", "note the rights of every writer of \(source.name)",
                .migrate(.fence(source.capture)), estimate: source.seconds.capture)
        }
        var last = noted
        if let edge {
            last = [
                add(
                    .freeze, "maintenance", "the old edge shows the maintenance page",
                    .migrate(.edge(edge, .maintenance)), requires: noted,
                    reversal: .reversible(seconds: 1), estimate: 0.6, undo: .migrate(.edge(edge, .old)))
            ]
        }
        var frozen = FrozenSources(fenced: [], proved: [])
        var alone: [StepID] = []
        for source in sources {
            let taken = add(
                .freeze, "\(source.name)-fence", "fence \(source.name): no writer left",
                .migrate(.fence(source.acquire)), requires: last + (source.isAlone ? alone : []),
                reversal: .reversible(seconds: source.seconds.release), estimate: source.seconds.acquire,
                undo: .migrate(.fence(source.release)))
            frozen.fenced.append(taken)
            let proved = add(
                .freeze, "\(source.name)-proof", "prove the fence of \(source.name) by refused writes",
                .migrate(.fence(source.prove)), requires: [taken], estimate: source.seconds.prove)
            frozen.proved.append(proved)
            if source.isAlone { alone = [proved] }
        }
        return sources.isEmpty ? FrozenSources(fenced: last, proved: last) : frozen
    }

    private func fencedSources(
        _ postgres: [(String, PostgresMove)], _ redis: [(String, RedisMove)]
    ) throws -> [FencedSource] {
        let empty = PostgresFence(id: "", database: "", objects: [], roles: [], memberships: [], readOnlyDefault: nil)
        return postgres.map { name, move in
            FencedSource(
                name: name, capture: .postgres(.fenceCapture(move)), acquire: .postgres(.fenceAcquire(move, empty)),
                prove: .postgres(.fenceProve(move, empty)), release: .postgres(.fenceRelease(move, empty)),
                seconds: (0.2, 0.2, 1, 0.2))
        }
            + redis.map { name, move in
                FencedSource(
                    name: name, capture: .redis(.fenceCapture(move)),
                    acquire: .redis(.fenceAcquire(move, .pause, seconds: Int(window))),
                    prove: .redis(.fenceProve(move, .pause)), release: .redis(.fenceRelease(move, .pause)),
                    seconds: (0.1, 0.1, 0.5, 0.1))
            }
            + (try mysqlMoves()).map { name, move in
                FencedSource(
                    name: name, capture: .mysql(MySQLTask(.fenceCapture, move)),
                    acquire: .mysql(MySQLTask(.fenceAcquire, move)), prove: .mysql(MySQLTask(.fenceProve, move)),
                    release: .mysql(MySQLTask(.fenceRelease, move)), isAlone: true, seconds: (0.3, 0.8, 1, 0.5))
            }
    }

    /// Seconds from the maintenance page to T0 along the longest chain of steps: what runs beside another costs nothing.
    func expectedOutage() -> Double {
        var ends: [StepID: Double] = [:]
        for step in steps where step.phase.isConducted && step.phase < .watch {
            let begin = step.requires.compactMap { ends[$0] }.max() ?? 0
            // Customers write until the page is there, hence also while rights are noted.
            ends[step.id] = step.id.rawValue.hasSuffix("-capture") ? 0 : begin + step.estimate
        }
        return ends.values.max() ?? 0
    }
}
