import BasculeModel
import BasculeNet

/// The passes over all keys: preflight, copy, sync and verify.
struct RedisPass {
    let session: RedisSession
    let progress: (MoveProgress) -> Void

    private var move: RedisMove { session.move }

    private func tell(_ phase: String, keys: Int, bytes: Int64) {
        progress(MoveProgress(subject: "redis", phase: phase, rows: Int64(keys), bytes: bytes, totalBytes: nil))
    }

    /// Calls `work` with each page of keys of one side.
    private func pages(
        of side: () throws -> RedisServer, from first: [UInt8] = Array("0".utf8),
        _ work: (_ keys: [[UInt8]], _ next: [UInt8]) throws -> Void
    ) throws {
        var cursor = first
        repeat {
            let page = try session.retrying {
                try side().connection.scan(cursor: cursor, pattern: move.keys, count: move.batchKeys)
            }
            try work(page.keys, page.next)
            cursor = page.next
        } while cursor != Array("0".utf8)
    }

    // MARK: preflight

    func preflight() throws -> RedisReport {
        let preflight = RedisPreflight(session: session)
        let quick = try session.retrying { try preflight.quick() }
        var report = RedisReport()
        report.findings = quick.findings
        report.method = quick.method
        var census = RedisCensus(session: session, method: quick.method)
        try pages(of: session.source) { keys, _ in
            let before = census
            try session.retrying {
                census = before
                try census.add(keys)
            }
            tell("preflight", keys: census.keys, bytes: census.bytes)
        }
        report.keysRead = census.keys
        report.findings += try census.findings().map { preflight.weigh($0, move) }
        return report
    }

    /// Refuses to start where preflight's quick part refuses.
    private func admit() throws -> (findings: [RedisFinding], method: RedisMethod) {
        let quick = try session.retrying { try RedisPreflight(session: session).quick() }
        let refused = quick.findings.filter { $0.weight == .refuse }
        if let full = refused.first(where: { $0.code == .targetNotEmpty }) {
            throw BasculeError(
                .redisTargetNotEmpty, full.message, at: .thing(try session.target().peer),
                hint: "Empty the target, or say existing: merge or replace.")
        }
        guard refused.isEmpty else {
            throw BasculeError(
                .redisMoveRefused, "The move of the Redis keys cannot start",
                cause: refused.map { "\($0.code.rawValue): \($0.message)" }.joined(separator: "\n"),
                hint: "Put that right, or accept these findings by their names.")
        }
        return quick
    }

    // MARK: copy

    func copy() throws -> RedisReport {
        let (findings, method) = try admit()
        var copier = RedisCopier(session: session, method: method)
        var read = 0
        let first = try session.retrying { try startCopy() }
        let run = try session.source().info["run_id"] ?? ""
        try pages(of: session.source, from: first) { keys, next in
            try session.retrying {
                // A server that was started anew meanwhile hashes its keys anew: its cursors are others.
                if try session.source().info["run_id"] ?? "" != run {
                    throw BasculeError(
                        .redisRefused, "The source was restarted during the copy",
                        at: .thing(try session.source().peer), hint: "Run the copy again: it starts over by itself.")
                }
                try copier.copy(keys)
                try mark(cursor: next, run: run)
            }
            read += keys.count
            tell("copy", keys: read, bytes: copier.bytesWritten)
        }
        var report = RedisReport()
        report.findings = findings
        report.method = copier.method
        report.keysRead = read
        report.keysWritten = copier.keysWritten
        report.keysExpired = copier.keysExpired
        report.bytesWritten = copier.bytesWritten
        report.differences = copier.skipped.prefix(20).map { RedisDifference(key: printable($0), kind: .missing) }
        report.keysDiffering = copier.skipped.count
        return report
    }

    /// Marks the target as this move's and says where the copy goes on.
    private func startCopy() throws -> [UInt8] {
        let target = try session.target()
        let run = try session.source().info["run_id"] ?? ""
        try RedisKeyWriter(server: target, requestBytes: 0, run: "").removeLeftovers()
        let start = Array("0".utf8)
        if let marker = try RedisMarker.read(target), marker.move == session.identity {
            if let cursor = marker.cursor, marker.sourceRun == run, !run.isEmpty { return cursor }
            try RedisMarker(move: marker.move, exclusive: marker.exclusive, cursor: start, sourceRun: run).write(target)
            return start
        }
        try RedisMarker(
            move: session.identity, exclusive: move.existing != .merge, cursor: start, sourceRun: run
        ).write(target)
        return start
    }

    private func mark(cursor: [UInt8], run: String) throws {
        let target = try session.target()
        guard var marker = try RedisMarker.read(target), marker.move == session.identity else {
            throw BasculeError(
                .redisTargetFull, "The target lost what the move had written there", at: .thing(target.peer),
                hint: "Was it restarted or emptied, or does it evict keys? Run the copy again.")
        }
        marker.cursor = cursor == Array("0".utf8) ? nil : cursor
        marker.sourceRun = run
        try marker.write(target)
    }

    // MARK: sync and verify

    func compare(correct: Bool) throws -> RedisReport {
        var report = RedisReport()
        let marker = try session.retrying { try RedisMarker.read(try session.target()) }
        let isOurs = marker?.move == session.identity
        if correct, !isOurs {
            throw BasculeError(
                .redisMoveRefused, "The target holds no copy of this source", at: .thing(try session.target().peer),
                hint: "Run the copy first.")
        }
        let exclusive = isOurs ? marker?.exclusive == true : move.existing != .merge
        var comparison = RedisComparison(session: session, countsExtras: exclusive)
        // What is put right is read once more on both sides, so that a sync of a fenced source proves them equal.
        var second = RedisComparison(session: session, countsExtras: exclusive)
        var copier: RedisCopier?
        if correct { copier = RedisCopier(session: session, method: try admit().method) }
        let phase = correct ? "sync" : "verify"
        try pages(of: session.source) { keys, _ in
            let found = try session.retrying { try comparison.compare(keys) }
            try session.retrying { try settle(found, &copier, &report) }
            if correct { try session.retrying { try recheck(found, &second, &report) } }
            tell(phase, keys: comparison.keysRead, bytes: copier?.bytesWritten ?? 0)
        }
        try pages(of: session.target) { keys, _ in
            let found = try session.retrying { try comparison.extras(keys) }
            try session.retrying { try settle(found, &copier, &report) }
            if correct { try session.retrying { try recheck(found, &second, &report) } }
        }
        report.method = copier?.method
        report.keysRead = comparison.keysRead
        report.keysEqual = comparison.keysEqual + second.keysEqual
        report.keysExpired = comparison.keysExpired + (copier?.keysExpired ?? 0)
        report.keysWritten = (copier?.keysWritten ?? 0) + report.expiriesCorrected
        report.bytesWritten = copier?.bytesWritten ?? 0
        report.sourceDigest = hexadecimal(correct ? comparison.equalSum &+ second.sourceSum : comparison.sourceSum)
        report.targetDigest = hexadecimal(correct ? comparison.equalSum &+ second.targetSum : comparison.targetSum)
        return report
    }

    private func recheck(
        _ found: [RedisMismatch], _ second: inout RedisComparison, _ report: inout RedisReport
    ) throws {
        guard !found.isEmpty else { return }
        let left =
            try second.compare(found.filter { $0.kind != .extra }.map(\.key))
            + second.extras(found.filter { $0.kind == .extra }.map(\.key))
        note(left, &report)
    }

    private func note(_ found: [RedisMismatch], _ report: inout RedisReport) {
        report.keysDiffering += found.count
        for item in found.prefix(20 - report.differences.count) {
            report.differences.append(
                RedisDifference(key: printable(item.key), kind: item.kind, detail: item.detail))
        }
    }

    /// Puts differences right, or lists them.
    private func settle(_ found: [RedisMismatch], _ copier: inout RedisCopier?, _ report: inout RedisReport) throws {
        guard !found.isEmpty else { return }
        guard copier != nil else { return note(found, &report) }
        try copier?.copy(found.filter { [.missing, .type, .value].contains($0.kind) }.map(\.key))
        let expiries = found.filter { $0.kind == .expiry }.map { item in
            item.source?.expiry.map { RedisCommand("PEXPIREAT").with(item.key).with(words: String($0)) }
                ?? RedisCommand("PERSIST").with(item.key)
        }
        let extras = found.filter { $0.kind == .extra }.map { RedisCommand("UNLINK").with($0.key) }
        let target = try session.target()
        for (command, reply) in zip(expiries + extras, try target.connection.send(expiries + extras)) {
            if let text = reply.refusalText { throw refusal(text, to: command.name, at: target.peer) }
        }
        report.expiriesCorrected += expiries.count
        report.keysDeleted += extras.count
    }

    private func hexadecimal(_ number: UInt128) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 32 - text.count) + text
    }
}
