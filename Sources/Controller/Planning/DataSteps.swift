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
    /// Removes what the movers made on both sides, but not what they moved.
    case forget

    /// Whether it writes at the target.
    package var changes: Bool {
        switch self {
        case .copy, .catchUp, .forget: true
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
                case .forget: .finish(move)
                }
            if let task { tasks.append((name, .postgres(task))) }
        }
        for (name, move) in try mysqlMoves() {
            let task =
                switch verb {
                case .check: MySQLTask(.preflight, move)
                case .copy: MySQLTask(.copy, move)
                case .catchUp: MySQLTask(.sync, move)
                case .verify: MySQLTask(.verify, move)
                case .rehearse: MySQLTask(.rehearse, move)
                case .diff(let table, let limit): MySQLTask(.diff, move, table: table, limit: limit)
                case .forget: MySQLTask(.finish, move)
                }
            tasks.append((name, .mysql(task)))
        }
        for (name, move) in try redisMoves() {
            switch verb {
            case .check: tasks.append((name, .redis(.preflight(move))))
            case .copy: tasks.append((name, .redis(.copy(move))))
            case .catchUp: tasks.append((name, .redis(.sync(move))))
            case .verify: tasks.append((name, .redis(.verify(move))))
            case .forget: tasks.append((name, .redis(.finish(move))))
            case .diff, .rehearse: break
            }
        }
        for (name, move, key) in try filesMoves() {
            let isAsked = names.isEmpty || names.contains(name)
            if isAsked, verb.word != "forget", move.hostKey == Self.unknownHostKey {
                throw BasculeError(
                    .migrationRefused, "the host key of the source of \(name) is not known yet",
                    hint: "write it as hostKey: in the fleet file, or let bascule apply reach that node first")
            }
            switch verb {
            case .check: tasks.append((name, .files(.preflight(move), key: key)))
            case .copy: tasks.append((name, .files(.copy(move), key: key)))
            case .catchUp: tasks.append((name, .files(.sync(move, thorough: false), key: key)))
            case .verify: tasks.append((name, .files(.verify(move), key: key)))
            case .forget: tasks.append((name, .files(.finish(move), key: key)))
            case .diff, .rehearse: break
            }
        }
        let chosen = tasks.filter { names.isEmpty || names.contains($0.name) }
        if case .diff = verb, chosen.count != 1 {
            throw BasculeError(
                .invalidInput,
                chosen.isEmpty
                    ? "there is no database among the sources to compare"
                    : "the fleet has several databases as sources",
                hint: chosen.isEmpty ? nil : "say which with --source: \(chosen.map(\.name).joined(separator: ", "))")
        }
        guard !chosen.isEmpty else {
            throw BasculeError(
                .migrationRefused, "the fleet has no source of data that can be asked for this",
                hint: "declare it under migration.sources; only MySQL sources are rehearsed")
        }
        func step(_ name: String, _ action: StepAction, after: [StepID] = []) -> Step {
            Step(
                id: StepID("data/\(verb.word)/\(name)"), phase: .copy, node: conductor, title: "\(verb.word) \(name)",
                action: action, requires: after, reversal: .reversible(seconds: 0), estimate: 1)
        }
        guard case .forget = verb else { return chosen.map { step($0.name, .data($0.task)) } }
        var steps: [Step] = []
        for (name, task) in chosen {
            // A step of its own, which fails where the source cannot be asked: a slot there would keep WAL for ever.
            var ended: [StepID] = []
            if case .postgres(.finish(let move)) = task, move.follow?.mode != .never {
                steps.append(step("following/\(name)", .data(.postgres(.follow(.end, move)))))
                ended = [steps[steps.count - 1].id]
            }
            steps.append(step(name, .data(task), after: ended))
        }
        if names.isEmpty {
            steps.append(step("credentials", .migrate(.forgetSecrets(try credentials())), after: steps.map(\.id)))
        }
        return steps
    }

    /// Of every source, by name.
    func credentials() throws -> [SecretName] {
        let mysql = try mysqlMoves().flatMap { [$0.move.source] + ($0.move.fence.map { [$0] } ?? []) }
        return Set(
            try postgresMoves().map(\.1.source) + mysql + redisMoves().map(\.1.source) + filesMoves().compactMap(\.key)
        ).sorted()
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
        case .forget: "forget"
        }
    }
}
