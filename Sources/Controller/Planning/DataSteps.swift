import BasculeModel

/// What `bascule data` does with a source, outside a migration's order.
package enum DataVerb: Sendable {
    /// Looks at both sides and changes neither.
    case check
    case copy
    /// Brings what has changed since a finished copy.
    case catchUp
    /// Compares both sides and changes neither.
    case verify
    /// Shows the rows in which one table differs.
    case diff(table: String, limit: Int)
    /// Does all of a copy with all data, compares it, and takes it back.
    case rehearse

    /// Whether it writes at the target.
    package var changes: Bool {
        switch self {
        case .copy, .catchUp: true
        case .check, .verify, .diff, .rehearse: false
        }
    }
}

extension MigrationPlanner {
    /// One step for each of the named sources, or for all; the last part of a step's id is its source's name.
    package func dataSteps(_ verb: DataVerb, sources names: [String]) throws -> [Step] {
        let known = migration.sources.keys.map(\.rawValue).sorted()
        for name in names where !known.contains(name) {
            throw BasculeError(
                .migrationRefused, "the fleet file has no source \(name)",
                hint: known.isEmpty ? "declare it under migration.sources" : "it has: \(known.joined(separator: ", "))")
        }
        var tasks: [(name: String, task: DataTask)] = []
        for (name, move) in try postgresMoves() {
            let task: PostgresTask? =
                switch verb {
                case .check: .preflight(move)
                case .copy: .copy(move)
                case .catchUp: .sync(move)
                case .verify: .verify(move, source: nil)
                case .diff(let table, let limit): .diff(move, table: table, limit: limit)
                case .rehearse: nil
                }
            if let task { tasks.append((name, .postgres(task))) }
        }
        for (name, move) in try mysqlMoves() {
            let task: MySQLTask.Verb? =
                switch verb {
                case .check: .preflight
                case .copy: .copy
                case .catchUp: .sync
                case .verify: .verify
                case .rehearse: .rehearse
                // What differs is in the report of a comparison, by key and column.
                case .diff: nil
                }
            if let task { tasks.append((name, .mysql(MySQLTask(task, move)))) }
        }
        for (name, move) in try redisMoves() {
            switch verb {
            case .check: tasks.append((name, .redis(.preflight(move))))
            case .copy: tasks.append((name, .redis(.copy(move))))
            case .catchUp: tasks.append((name, .redis(.sync(move))))
            case .verify: tasks.append((name, .redis(.verify(move))))
            case .diff, .rehearse: break
            }
        }
        for (name, move, key) in try filesMoves() {
            switch verb {
            case .check: tasks.append((name, .files(.preflight(move), key: key)))
            case .copy: tasks.append((name, .files(.copy(move), key: key)))
            case .catchUp: tasks.append((name, .files(.sync(move, thorough: false), key: key)))
            case .verify: tasks.append((name, .files(.verify(move), key: key)))
            case .diff, .rehearse: break
            }
        }
        let chosen = tasks.filter { names.isEmpty || names.contains($0.name) }
        if case .diff = verb, chosen.count != 1 {
            throw BasculeError(
                .invalidInput,
                chosen.isEmpty
                    ? "there is no PostgreSQL source to compare" : "the fleet has several PostgreSQL sources",
                hint: chosen.isEmpty ? nil : "say which with --source: \(chosen.map(\.name).joined(separator: ", "))")
        }
        guard !chosen.isEmpty else {
            throw BasculeError(
                .migrationRefused, "the fleet has no source of data that can be asked for this",
                hint: "declare it under migration.sources; only MySQL sources are rehearsed")
        }
        return chosen.map { name, task in
            Step(
                id: StepID("data/\(verb.word)/\(name)"), phase: .copy, node: conductor, title: "\(verb.word) \(name)",
                action: .data(task), reversal: .reversible(seconds: 0), estimate: 1)
        }
    }
}

extension DataVerb {
    /// The verb as it stands in ids and titles.
    package var word: String {
        switch self {
        case .check: "check"
        case .copy: "copy"
        case .catchUp: "catch-up"
        case .verify: "verify"
        case .diff: "diff"
        case .rehearse: "rehearse"
        }
    }
}
