import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Testing

extension AgainstServers {
    @Suite struct ReverseTests {
        /// A move up to T0 by a role that is no superuser, with the way back prepared.
        private func opened(_ name: String, back: PostgresFollow.Back) throws -> (pair: Pair, fence: PostgresFence) {
            var pair = try Pair(name, Writer.schema)
            let admin = try pair.source.connect(name)
            if try admin.query("SELECT FROM pg_roles WHERE rolname = 'mover'").isEmpty {
                try admin.query("CREATE ROLE mover LOGIN REPLICATION IN ROLE shop")
            }
            pair.move.follow = PostgresFollow(mode: .always, back: back)
            pair.move.schemas = ["public"]
            if back == .replicate {
                try admin.query("REVOKE SET ON PARAMETER session_replication_role FROM mover")
                guard case .preflight(let report) = try pair.run(.preflight(pair.move), as: "mover") else {
                    throw Unexpected()
                }
                #expect(report.findings.contains { $0.code == "no-way-back" && $0.severity == .refuse })
                try admin.query("GRANT SET ON PARAMETER session_replication_role TO mover")
            }
            try admin.query("GRANT CREATE ON DATABASE \(name) TO mover")
            try admin.query("GRANT CREATE ON SCHEMA public TO shop")
            _ = try pair.run(.copy(pair.move), as: "mover")
            guard case .followed(let proof) = try pair.run(.follow(.prove, pair.move), as: "mover") else {
                throw Unexpected()
            }
            #expect(proof.isFollowing && proof.reloaded.isEmpty, "\(proof)")
            guard case .captured(let fence) = try pair.run(.fenceCapture(pair.move), as: "mover") else {
                throw Unexpected()
            }
            _ = try pair.run(.fenceAcquire(pair.move, fence), as: "mover")
            _ = try pair.run(.sync(pair.move), as: "mover")
            _ = try pair.run(.follow(.backBegin, pair.move), as: "mover")
            guard case .proved(let fenced) = try pair.run(.fenceProve(pair.move, fence), as: "mover") else {
                throw Unexpected()
            }
            #expect(fenced.holds, "\(fenced.holes)")
            _ = try pair.run(.follow(.end, pair.move), as: "mover")
            return (pair, fence)
        }

        private func writeAnew(_ pair: Pair) -> Writer {
            Writer {
                let session = try pair.target.connect(pair.name)
                try session.query("SET ROLE app")
                return session
            }
        }

        private func back(_ task: PostgresFollowTask, _ pair: Pair) throws -> PostgresFollowReport {
            guard case .followed(let report) = try pair.run(.follow(task, pair.move), as: "mover") else {
                throw Unexpected()
            }
            return report
        }

        /// FAULT 69
        @Test func whatWasWrittenAfterT0IsOnTheOldSideAfterARollback() throws {
            let (pair, fence) = try opened("wayback", back: .replicate)
            defer {
                _ = try? pair.follow(.end)
                _ = try? back(.backEnd, pair)
            }
            let writer = writeAnew(pair)
            defer { writer.stop() }
            // The pusher is cut again and again: nothing may be written twice.
            for _ in 0..<4 {
                writer.wrote(15)
                let until = Date().addingTimeInterval(0.5)
                _ = try PostgresMover.run(
                    .follow(.backKeep, pair.move), resolve: { _ in pair.url(as: "mover") },
                    isCancelled: { Date() > until })
            }
            let target = try pair.target.connect("wayback")
            try target.script(
                """
                UPDATE log SET what = 'changed' WHERE what = 'old'; DELETE FROM log WHERE what = 'new';
                UPDATE days SET day = '2020-02-02' WHERE n = 3;
                """)
            writer.wrote(10)
            writer.stop()
            var fencing = pair.move
            fencing.fencesTarget = true
            guard case .captured(let new) = try pair.run(.fenceCapture(fencing), as: "mover") else {
                throw Unexpected()
            }
            _ = try pair.run(.fenceAcquire(fencing, new), as: "mover")
            guard case .proved(let proof) = try pair.run(.fenceProve(fencing, new), as: "mover") else {
                throw Unexpected()
            }
            #expect(proof.holds, "\(proof)")
            let drained = try back(.backDrain, pair)
            let check = try #require(drained.verification)
            #expect(check.isEqual && check.rows > 100, "\(check)")
            _ = try back(.backEnd, pair)
            _ = try pair.run(.fenceRelease(pair.move, fence), as: "mover")
            #expect(try pair.leftovers(pair.source).isEmpty && pair.leftovers(pair.target).isEmpty)
            let source = try pair.source.connect("wayback", as: "app")
            let there = Set(try source.query("SELECT id::text FROM orders").rows.compactMap { $0[0] })
            #expect(writer.accepted.count > 60 && there.isSuperset(of: writer.accepted))
            try source.query("INSERT INTO orders (customer) VALUES (1)")
            try pair.source.connect("wayback").query("DELETE FROM orders WHERE total IS NULL")
            let rows = try pair.verify()
            #expect(rows.differingTables.allSatisfy { $0 == "public.scratch" }, "\(rows)")
        }

        @Test func aJournalHoldsWhatWasWrittenAsStatements() throws {
            let (pair, fence) = try opened("journal", back: .journal)
            defer { _ = try? back(.backEnd, pair) }
            let writer = writeAnew(pair)
            writer.wrote(20)
            writer.stop()
            let drained = try back(.backDrain, pair)
            #expect(drained.changes > 40 && drained.reason.hasSuffix(".sql"), "\(drained)")
            _ = try back(.backEnd, pair)
            _ = try pair.run(.fenceRelease(pair.move, fence), as: "mover")
            // Run by hand at the old side, it brings everything there.
            let statements = try String(contentsOfFile: drained.reason, encoding: .utf8)
            try pair.source.connect("journal").script(statements)
            let there = try pair.source.connect("journal").query("SELECT id::text FROM orders").rows.compactMap {
                $0[0]
            }
            #expect(Set(there).isSuperset(of: writer.accepted))
        }
    }
}
