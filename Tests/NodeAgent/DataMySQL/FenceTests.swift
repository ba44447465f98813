import BasculeData
import BasculeModel
import BasculeMySQL
import Testing

extension MySQLToPostgres {
    @Suite struct FenceTests {
        @Test func everyWriterIsStoppedProvedAndLetGoAgain() throws {
            let crossing = try Crossing(
                "fenced", "CREATE TABLE t (id INT PRIMARY KEY, a INT);\nINSERT INTO t VALUES (1, 1);\n")
            var root = try crossing.source.connect("fenced")
            let accounts = ["app", "clerk", "reader", "admin2", "elsewhere", "member"]
            for name in accounts { try root.query("CREATE OR REPLACE USER \(name)@'%' IDENTIFIED BY 'pw'") }
            for statement in [
                "CREATE OR REPLACE ROLE writers", "GRANT INSERT ON fenced.* TO writers", "GRANT writers TO member",
                "SET DEFAULT ROLE writers FOR member", "GRANT ALL PRIVILEGES ON fenced.* TO app WITH GRANT OPTION",
                "GRANT SELECT ON fenced.* TO clerk", "GRANT INSERT, UPDATE (a) ON fenced.t TO clerk",
                "GRANT SELECT ON fenced.* TO reader", "GRANT ALL PRIVILEGES ON *.* TO admin2",
                "GRANT ALL PRIVILEGES ON other.* TO elsewhere",
                "CREATE EVENT ev ON SCHEDULE EVERY 1 HOUR DO DELETE FROM t WHERE 1 = 0",
            ] { try root.query(statement) }
            var own = crossing
            try root.query("CREATE OR REPLACE USER mover@'%' IDENTIFIED BY 'pw'")
            try root.query("GRANT ALL PRIVILEGES ON *.* TO mover@'%' WITH GRANT OPTION")
            defer {
                // Whatever failed, the other tests need root.
                let mover = crossing.source.address("mysql", user: "mover", password: "pw")
                _ = try? MyConnection(mover).query("ALTER USER root@localhost ACCOUNT UNLOCK")
                _ = try? crossing.source.connect().query("DROP USER IF EXISTS mover@'%'")
            }
            own.move.fence = "FENCE"
            func run(_ verb: MySQLTask.Verb, _ fence: MySQLFence? = nil) throws -> MySQLReport {
                try own.fence(verb, fence, user: "mover", password: "pw")
            }
            func app(_ user: String = "app") throws -> MyConnection {
                try MyConnection(crossing.source.address("fenced", user: user, password: "pw"))
            }
            let before = try grants(root, accounts + ["writers"])
            let fence = try #require(try run(.fenceCapture).fence)
            let captured = Set(fence.accounts.map(\.name))
            #expect(captured.isSuperset(of: ["'app'@'%'", "'clerk'@'%'", "'admin2'@'%'", "'writers'"]))
            #expect(captured.isDisjoint(with: ["'reader'@'%'", "'elsewhere'@'%'", "'mover'@'%'"]))
            #expect(fence.events == ["ev"])
            // Nothing is proved while nothing is taken.
            let open = try run(.fenceProve, fence)
            #expect(!open.holes.isEmpty && open.attempts.contains { !$0.refused })
            let pooled = try app()
            try pooled.query("BEGIN")
            try pooled.query("UPDATE t SET a = 99")
            let taken = try run(.fenceAcquire, fence)
            #expect(taken.sessionsEnded >= 1 && taken.attempts.map(\.refused) == [true], "\(taken.attempts)")
            #expect(throws: MyError.self) { try pooled.query("COMMIT") }
            let proof = try run(.fenceProve, fence)
            #expect(proof.holes.isEmpty && proof.attempts.count >= 10, "\(proof.holes)")
            let accepted = proof.attempts.filter { !$0.refused }
            #expect(accepted.isEmpty, "\(accepted)")
            // Root may write everywhere, so it is locked out too.
            #expect(throws: BasculeError.self) { try crossing.source.connect() }
            #expect(throws: MyError.self) { try root.query("SELECT 1") }
            #expect(throws: MyError.self) { try app().query("INSERT INTO t VALUES (2, 2)") }
            #expect(throws: MyError.self) { try app("clerk").query("INSERT INTO t VALUES (3, 3)") }
            #expect(throws: BasculeError.self) { try app("admin2") }
            #expect(try app("reader").query("SELECT a FROM t") == [["1"]])
            // Taken twice is taken once; given back it is as it was.
            _ = try run(.fenceAcquire, fence)
            _ = try run(.fenceRelease, fence)
            _ = try run(.fenceRelease, fence)
            root = try crossing.source.connect("fenced")
            #expect(try grants(root, accounts + ["writers"]) == before)
            try app().query("INSERT INTO t VALUES (2, 2)")
            try app("admin2").query("INSERT INTO t VALUES (4, 4)")
            let events = try root.query("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'ev'")
            #expect(events == [["ENABLED"]])
            #expect(try root.query("SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'bascule%'") == [["0"]])
            for name in accounts { try root.query("DROP USER \(name)@'%'") }
            try root.query("DROP ROLE writers")
        }

        @Test func anAppThatUsesTheMigrationsOwnAccountIsNoticed() throws {
            let crossing = try Crossing("shared", "CREATE TABLE t (id INT PRIMARY KEY);\n")
            let fence = try #require(try crossing.run(.fenceCapture).fence)
            let app = try crossing.source.connect("shared")
            let error = crossing.refusal(.fenceAcquire, fence)
            #expect(
                error?.code == "fence-failed" && error?.hint?.contains("account of its own") == true, "\(error as Any)")
            _ = try app.query("SELECT 1")
        }

        private func grants(_ root: MyConnection, _ names: [String]) throws -> [[String]] {
            try names.map { name in
                try root.query("SHOW GRANTS FOR \(name)").map { $0[0] ?? "" }.sorted()
            }
        }
    }
}

extension Crossing {
    func fence(
        _ verb: MySQLTask.Verb, _ fence: MySQLFence?, user: String, password: String
    ) throws -> MySQLReport {
        try MySQLMover.run(
            MySQLTask(verb, move, fence: fence),
            resolve: { $0 == "FENCE" ? source.url(name, user: user, password: password) : source.url(name) })
    }

    func refusal(_ verb: MySQLTask.Verb, _ fence: MySQLFence) -> BasculeError? {
        do {
            _ = try run(verb, fence)
            return nil
        } catch { return error as? BasculeError }
    }
}
