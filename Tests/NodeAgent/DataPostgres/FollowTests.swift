import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Testing

extension AgainstServers {
    @Suite struct FollowTests {
        private func shop(_ name: String, cap: Int64 = 8 << 30, mode: PostgresFollow.Mode = .auto) throws -> Pair {
            var pair = try Pair(name, Writer.schema)
            pair.move.follow = PostgresFollow(mode: mode, walCap: cap)
            return pair
        }

        private func timed<T>(_ what: String, _ body: () throws -> T) rethrows -> T {
            let start = Date()
            defer { print("\(what): \(Int(Date().timeIntervalSince(start) * 1000)) ms") }
            return try body()
        }

        @Test func aLiveSourceIsFollowedAndOnlyWhatChangedIsReadAfterTheFence() throws {
            let pair = try shop("followed", mode: .always)
            defer { _ = try? pair.follow(.end) }
            let writer = Writer { try pair.source.connect("followed", as: "app") }
            defer { writer.stop() }
            writer.wrote(20)
            let copied = try timed("copy") { try pair.copy() }
            #expect(copied.findings.contains { $0.code == "following" }, "\(copied.findings)")
            #expect(copied.findings.contains { $0.code == "follow-no-identity" && $0.object == "public.log" })
            #expect(copied.findings.contains { $0.code == "follow-left-out" && $0.object == "public.scratch" })
            writer.wrote(50)
            let target = try pair.target.connect("followed")
            // What a rehearsal wrote while rows came in, and a row that went wrong on its way.
            for _ in 0..<5 { try target.query("INSERT INTO orders (customer) VALUES (-7)") }
            try target.query("UPDATE lines SET what = 'wrong' WHERE order_id = 4999")
            let proof = try timed("proof") { try pair.follow(.prove) }
            #expect(proof.isFollowing && proof.tables == 4, "\(proof)")
            #expect(proof.reloaded == ["public.lines", "public.orders"])
            writer.wrote(50)
            let fence = try pair.capture()
            guard case .fenced = try pair.run(.fenceAcquire(pair.move, fence)) else { throw Unexpected() }
            let synced = try timed("sync") { try pair.sync() }
            #expect(synced.followed?.tables == 4, "\(String(describing: synced.followed))")
            #expect(synced.recopied.allSatisfy { ["public.log", "public.scratch"].contains($0.table) })
            let check = try #require(try pair.follow(.changed).verification)
            #expect(check.isEqual, "\(check)")
            #expect(try pair.verify().isEqual)
            writer.stop()
            #expect(writer.wasRefused)
            let there = Set(try target.query("SELECT id::text FROM orders").rows.compactMap { $0[0] })
            #expect(there.isSuperset(of: writer.accepted))
            #expect(
                try target.query("SELECT n FROM totals").scalar == target.query("SELECT count(*) FROM orders").scalar)
            // FAULT 55
            try target.query("INSERT INTO orders (customer) VALUES (1)")
            try target.query("DELETE FROM orders WHERE total IS NULL")
            // One flipped bit in a touched row is found and named.
            try target.query("UPDATE orders SET note = 'neW!' WHERE id = (SELECT max(id) FROM orders)")
            let flipped = try #require(try pair.follow(.changed).verification)
            #expect(flipped.differences.map(\.kind) == [.changed])
            _ = try pair.follow(.end)
            #expect(try pair.leftovers(pair.source).isEmpty && pair.leftovers(pair.target).isEmpty)
            _ = try pair.run(.fenceRelease(pair.move, fence))
        }

        /// FAULT 56
        @Test func aSlotThatKeepsTooMuchIsGivenUpAndTheCopyGoesOnWithoutIt() throws {
            let pair = try shop("capped", cap: 4 << 20)
            defer { _ = try? pair.follow(.end) }
            _ = try pair.copy()
            let target = try pair.target.connect("capped")
            let name = try #require(
                try target.query("SELECT subname FROM pg_subscription ORDER BY oid DESC LIMIT 1").scalar)
            try target.query("ALTER SUBSCRIPTION \(name) DISABLE")
            let source = try pair.source.connect("capped")
            try source.query("UPDATE orders SET note = repeat('x', 1500)")
            let kept = try pair.follow(.keep)
            #expect(!kept.isFollowing && kept.reason.contains("of WAL"), "\(kept)")
            #expect(try pair.leftovers(pair.source).isEmpty && pair.leftovers(pair.target).isEmpty)
            #expect(try !pair.follow(.prove).isFollowing)
            let synced = try pair.sync()
            #expect(synced.followed == nil && synced.recopied.contains { $0.table == "public.orders" })
            #expect(try pair.verify().isEqual)
        }

        @Test func aSourceThatCannotBeFollowedIsSaidSoAndCopiedAsBefore() throws {
            var pair = try shop("unfollowed")
            func preflight() throws -> [PostgresFinding] { try pair.preflight(as: "shop").findings }
            let warned = try preflight()
            #expect(warned.contains { $0.code == "follow-no-right" && $0.severity == .warn }, "\(warned)")
            guard case .copied(let copied) = try pair.run(.copy(pair.move), as: "shop") else { throw Unexpected() }
            #expect(copied.findings.contains { $0.code == "not-following" })
            #expect(try pair.leftovers(pair.source).isEmpty && pair.verify().isEqual)
            pair.move.follow?.mode = .always
            #expect(try preflight().contains { $0.code == "follow-no-right" && $0.severity == .refuse })
        }

        @Test func aCopyThatWasCutGoesOnFollowingEachTableFromItsOwnPosition() throws {
            let pair = try shop("cutfollow", mode: .always)
            defer { _ = try? pair.follow(.end) }
            let source = try pair.source.connect("cutfollow")
            try source.script(
                """
                CREATE TABLE large (id int PRIMARY KEY, t text);
                INSERT INTO large SELECT i, repeat('x', 300) FROM generate_series(1, 200000) i;
                """)
            let writer = Writer { try pair.source.connect("cutfollow", as: "app") }
            defer { writer.stop() }
            let failure = #expect(throws: BasculeError.self) {
                try PostgresMover.run(
                    .copy(pair.move), resolve: { _ in pair.url() },
                    isCancelled: {
                        let done = try? pair.target.connect("cutfollow").query(
                            "SELECT count(*) FROM bascule.ranges WHERE name LIKE '%large%'")
                        return done?.scalar == "1"
                    })
            }
            #expect(failure?.code == .cancelled)
            writer.wrote(50)
            _ = try pair.copy()
            writer.wrote(50)
            let proof = try pair.follow(.prove)
            #expect(proof.isFollowing && proof.reloaded.isEmpty, "\(proof)")
            writer.stop()
            let synced = try pair.sync()
            #expect(synced.followed != nil)
            #expect(try pair.verify().isEqual)
        }

        @Test func aSchemaChangeEndsTheFollowing() throws {
            let pair = try shop("ddl")
            defer { _ = try? pair.follow(.end) }
            _ = try pair.copy()
            try pair.source.connect("ddl").query("ALTER TABLE orders ADD COLUMN more text")
            let kept = try pair.follow(.keep)
            #expect(!kept.isFollowing && kept.reason.contains("schema"), "\(kept)")
            #expect(try pair.leftovers(pair.source).isEmpty)
        }
    }
}
