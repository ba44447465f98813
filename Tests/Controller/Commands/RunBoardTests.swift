import BasculeModel
import Testing

@testable import BasculeCommands

@Suite struct RunBoardTests {
    private func step(_ id: String, _ node: NodeName, title: String = "create file /etc/x", estimate: Double = 12)
        -> Step
    {
        Step(
            id: StepID("\(node)/\(id)"), phase: .install, node: node, title: title, action: .provision(node),
            reversal: .reversible(seconds: 0), estimate: estimate)
    }

    private func lines(_ board: RunBoard, _ columns: Int, _ rows: Int, now: Double = 5) -> [String] {
        board.lines(columns: columns, rows: rows, tick: 3, now: now) { text, _ in text }
    }

    @Test func oneLineANodeWithStepElapsedAndEstimate() {
        var board = RunBoard(now: 0)
        let steps = [step("a", "vps1"), step("b", "vps1"), step("c", "vps2", title: "packages nginx")]
        board.expect(
            Plan(id: "p", fleet: "f", topology: "t", revision: "ab", created: 0, steps: steps))
        board.started("vps1", steps[0], now: 1)
        board.started("vps1", steps[1], now: 2)
        board.started("vps2", steps[2], now: 3)
        board.progress("vps2", steps[2].id, "Unpacking\u{1B}[2J nginx")
        let shown = lines(board, 120, 24)
        #expect(
            shown == [
                "⠸ vps1  1/2  create file /etc/x +1  3 s of about 12 s",
                "⠸ vps2  1/1  packages nginx  2 s of about 12 s  Unpacking\u{FFFD}[2J nginx",
                "0 of 2 nodes done, 2 at work, 0/3 steps, 5 s",
            ])
        board.finished("vps2", steps[2].id, isGood: false)
        #expect(lines(board, 120, 24).last == "1 of 2 nodes done, 1 at work, 1 with failures, 1/3 steps, 5 s")
    }

    @Test(arguments: [(1, 1), (2, 2), (10, 3), (40, 5), (80, 24), (300, 4), (200, 600)])
    func neverMoreThanThereIsRoomFor(_ columns: Int, _ rows: Int) {
        var board = RunBoard(now: 0)
        for number in 0..<500 {
            let node = NodeName("node-\(number)")
            board.started(
                node, step("a", node, title: "漢字 é👩‍👩‍👧 a long title that goes on and on \(number)"),
                now: Double(number) / 100)
            board.progress(node, StepID("\(node)/a"), "👍🏽 details 漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字")
        }
        board.trouble("node-7", "out of reach")
        let shown = lines(board, columns, rows, now: 30)
        #expect(!shown.isEmpty && shown.count <= max(1, rows - 1))
        #expect(shown.allSatisfy { CellWidth.of($0) <= max(1, columns - 1) }, "\(shown)")
        if rows == 24 {
            #expect(
                shown.count == 23
                    && shown.last?.hasPrefix("0 of 500 nodes done, 500 at work, 478 of them not shown") == true)
        }
    }

    /// What 500 talkative nodes cost the thread that reports, and what drawing them costs.
    @Test func fiveHundredNodesCostNothing() {
        var board = RunBoard(now: 0)
        var log = StepLog()
        let clock = ContinuousClock()
        let events = clock.measure {
            for number in 0..<500 {
                let node = NodeName("node-\(number)")
                let one = step("a", node)
                board.started(node, one, now: 0)
                for line in 0..<20 {
                    board.progress(node, one.id, "line \(line) of some length")
                    log.add("line \(line) of some length", to: "\(node)|a")
                }
            }
        }
        let drawing = clock.measure { for _ in 0..<10 { _ = lines(board, 120, 50) } }
        #expect(events < .seconds(2), "10,500 events: \(events)")
        #expect(drawing < .seconds(1), "ten drawings: \(drawing)")
    }
}

@Suite struct StepLogTests {
    @Test func aStepsLinesComeBackWholeAndOnce() {
        var log = StepLog()
        for line in ["a", "b", "c"] { log.add(line, to: "s") }
        log.add("x", to: "t")
        #expect(log.take("s") == ["a", "b", "c"])
        #expect(log.take("s") == [])
        #expect(log.take("t") == ["x"])
    }

    @Test func memoryIsBoundedAndTheNewestLinesStay() {
        var log = StepLog()
        for number in 0..<3000 { log.add("\(number) " + String(repeating: "x", count: 990), to: "s") }
        let lines = log.take("s")
        #expect(lines.reduce(0) { $0 + $1.utf8.count } <= StepLog.stepLimit + 100)
        #expect(lines.first?.hasSuffix("earlier lines are left out)") == true && lines.last?.hasPrefix("2999 ") == true)
        for step in 0..<30 { for _ in 0..<1000 { log.add(String(repeating: "y", count: 1000), to: "\(step)") } }
        let all = (0..<30).reduce(0) { $0 + log.take("\($1)").reduce(0) { $0 + $1.utf8.count } }
        #expect(all <= StepLog.limit + 30 * 100)
    }
}

@Suite struct CellWidthTests {
    @Test(arguments: [
        ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("한글", 4), ("ｆ", 2), ("✓", 1), ("😀", 2),
        ("\u{200B}", 0), ("⠋", 1), ("…", 1), ("\u{1B}", 0),
    ])
    func columns(_ text: String, _ width: Int) { #expect(CellWidth.of(text) == width) }

    @Test func clippingNeverExceeds() {
        for columns in 0...12 {
            for text in ["漢字漢字漢字", "abcdefghijkl", "a漢b字c漢d", "👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧"] {
                #expect(CellWidth.of(CellWidth.clip(text, to: columns)) <= columns)
            }
        }
        #expect(CellWidth.clip("abc", to: 3) == "abc" && CellWidth.clip("abcd", to: 3) == "ab…")
    }
}
