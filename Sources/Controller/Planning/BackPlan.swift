import BasculeModel

/// The way back after T0, made of the segment that went forward: the same sources, names and edge. Pure.
package struct BackPlan {
    let conducted: Segment

    package init(_ conducted: Segment) { self.conducted = conducted }

    private var moves: [(name: String, move: PostgresMove)] {
        conducted.steps.compactMap { step in
            guard case .migrate(.fence(.postgres(.fenceCapture(let move)))) = step.action else { return nil }
            return (name(step, "-capture"), move)
        }
    }

    private var redis: [(name: String, move: RedisMove)] {
        conducted.steps.compactMap { step in
            guard case .migrate(.fence(.redis(.fenceCapture(let move)))) = step.action else { return nil }
            return (name(step, "-capture"), move)
        }
    }

    private var mysql: [(name: String, move: MySQLMove)] {
        conducted.steps.compactMap { step in
            guard case .migrate(.fence(.mysql(let task))) = step.action, task.verb == .fenceCapture else { return nil }
            return (name(step, "-capture"), task.move)
        }
    }

    private func name(_ step: Step, _ end: String) -> String {
        String((step.id.rawValue.split(separator: "/").last ?? "").dropLast(end.count))
    }

    /// True where nothing that was written to a database after T0 is given up.
    package var keepsNewWrites: Bool { areAll { $0 == .replicate } }
    /// True where it is kept in a file.
    package var journalsNewWrites: Bool { areAll { $0 != nil } }

    /// Nothing is carried back to MySQL.
    private func areAll(_ test: (PostgresFollow.Back?) -> Bool) -> Bool {
        !moves.isEmpty && mysql.isEmpty && moves.allSatisfy { test($0.move.follow?.back) }
    }

    /// Seconds that the lease of the way back gives.
    package var budget: Double { conducted.lease?.seconds ?? 1800 }

    /// One after the other; each that shuts customers out opens to them again if a later one fails.
    package func steps() -> [Step] {
        var steps: [Step] = []
        var last: [StepID] = []
        func add(_ phase: Phase, _ name: String, _ title: String, _ action: StepAction, undo: StepAction? = nil) {
            let id = StepID("migration/\(phase.rawValue)/\(name)")
            steps.append(
                Step(
                    id: id, phase: phase, node: conducted.node, title: title, action: action, requires: last,
                    reversal: .reversible(seconds: 1), cancellation: undo == nil ? .abortable : .compensating,
                    estimate: 1, compensation: undo))
            last = [id]
        }
        let edge = conducted.steps.compactMap { step -> EdgeLink? in
            if case .migrate(.edge(let link, .new)) = step.action { link } else { nil }
        }.first
        let domains =
            conducted.steps.compactMap { step -> [String]? in
                if case .migrate(.open(let domains)) = step.action { domains } else { nil }
            }.first ?? []
        if let edge {
            add(
                .freeze, "back-maintenance", "the old edge shows the maintenance page",
                .migrate(.edge(edge, .maintenance)), undo: .migrate(.edge(edge, .new)))
        }
        add(
            .freeze, "back-close", "close \(domains.joined(separator: ", ")) on the new side",
            .migrate(.site(domains: domains, open: false)), undo: .migrate(.site(domains: domains, open: true)))
        let empty = PostgresFence(id: "", database: "", objects: [], roles: [], memberships: [], readOnlyDefault: nil)
        for (name, move) in moves {
            var new = move
            new.fencesTarget = true
            add(
                .freeze, "\(name)-new-capture", "note the rights of every writer of the new \(name)",
                .migrate(.fence(.postgres(.fenceCapture(new)))))
            add(
                .freeze, "\(name)-new-fence", "fence the new \(name): no writer left",
                .migrate(.fence(.postgres(.fenceAcquire(new, empty)))),
                undo: .migrate(.fence(.postgres(.fenceRelease(new, empty)))))
            add(
                .freeze, "\(name)-new-proof", "prove the fence of the new \(name) by refused writes",
                .migrate(.fence(.postgres(.fenceProve(new, empty)))))
        }
        for (name, move) in moves where move.follow?.back != nil {
            add(
                .sync, "\(name)-drain",
                move.follow?.back == .journal
                    ? "write the last new writes of \(name) into the journal"
                    : "carry the last new writes of \(name) back and compare both sides",
                .data(.postgres(.follow(.backDrain, move))))
        }
        for (name, move) in moves where move.follow?.back != nil {
            add(.switch, "\(name)-back-end", "end the way back of \(name)", .data(.postgres(.follow(.backEnd, move))))
        }
        for (name, move) in moves {
            add(
                .open, "\(name)-release", "give every writer of the old \(name) its rights back",
                .migrate(.fence(.postgres(.fenceRelease(move, empty)))))
        }
        for (name, move) in redis {
            add(
                .open, "\(name)-release", "give every writer of the old \(name) its rights back",
                .migrate(.fence(.redis(.fenceRelease(move, .pause)))))
        }
        for (name, move) in mysql {
            add(
                .open, "\(name)-release", "give every writer of the old \(name) its rights back",
                .migrate(.fence(.mysql(MySQLTask(.fenceRelease, move)))))
        }
        for step in conducted.steps {
            guard case .migrate(.switchDNS(let change)) = step.action, !change.from.isEmpty else { continue }
            add(
                .open, "dns-\(change.name)-\(change.type.lowercased())",
                "point \(change.name) back to \(change.from.joined(separator: ", "))",
                .migrate(.switchDNS(change.reversed)))
        }
        if let edge { add(.open, "edge", "the old system serves again", .migrate(.edge(edge, .old))) }
        return steps
    }
}
