import BasculeConducting
import BasculeModel
import Foundation
import Synchronization

/// `bascule status --watch`: looks again and again, and shows it as the output allows.
final class StatusWatch: Sendable {
    private struct State {
        var rows: [StatusRow] = []
        var isOver = false
    }

    private let session: FleetSession
    private let json: Bool
    private let pause: Double
    private let state = Mutex(State())

    init(session: FleetSession, json: Bool, pause: Double) {
        (self.session, self.json, self.pause) = (session, json, max(0.2, pause))
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    func run() async throws {
        let isLive = !json && LiveScreen.isPossible
        let screen = isLive ? show() : nil
        var last: [String: StatusRow] = [:]
        while !isOver {
            let rows = await StatusRow.gather(session)
            if isLive {
                state.withLock { $0.rows = rows }
            } else if json {
                for row in rows where last[row.node] != row.substance {
                    last[row.node] = row.substance
                    try Terminal.json(row)
                }
            } else {
                Terminal.say(HistoryCommand.time(Date().timeIntervalSince1970))
                rows.flatMap { StatusView(row: $0).lines }.forEach { Terminal.say($0) }
                Terminal.say()
            }
            let end = ContinuousClock.now + .seconds(pause)
            while !isOver, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(50)) }
        }
        screen?.end()
        await session.close()
    }

    /// Draws what was gathered last, and listens for q where somebody can type it.
    private func show() -> LiveScreen {
        let restore = listen()
        return LiveScreen(onEnd: restore) { [self] columns, rows, tick in
            StatusWatch.lines(state.withLock { $0.rows }, columns: columns, rows: rows, tick: tick)
        }
    }

    /// Fits into a size: where the nodes do not, their first lines, and then as many of those as there is room for.
    static func lines(_ rows: [StatusRow], columns: Int, rows height: Int, tick: Int) -> [String] {
        let spinner = String(Array("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[tick % 10])
        let bad = rows.count { $0.error != nil }
        let foot =
            rows.isEmpty
            ? "\(spinner) asking"
            : "\(spinner) \(rows.count) nodes\(bad > 0 ? ", \(bad) without an answer" : "")   q ends"
        let room = max(0, height - 2)
        var blocks = rows.map { StatusView(row: $0).lines }
        if blocks.reduce(0, { $0 + $1.count }) > room {
            // Who is in trouble comes first when not all can be seen.
            let sorted = rows.sorted { ($0.error == nil ? 1 : 0, $0.node) < ($1.error == nil ? 1 : 0, $1.node) }
            blocks = sorted.map { Array(StatusView(row: $0).lines.prefix(1)) }
            if blocks.count > room {
                let shown = max(0, room - 1)
                blocks = Array(blocks.prefix(shown)) + [["and \(blocks.count - shown) more nodes"]]
            }
        }
        return (blocks.flatMap { $0 }.prefix(room) + [foot]).map { clip($0, columns - 1) }
    }

    /// A painted line that is too long loses its paint with its end.
    private static func clip(_ line: String, _ columns: Int) -> String {
        let bare = line.replacing(/\u{1B}\[[0-9;]*m/, with: "")
        return CellWidth.of(bare) <= columns ? line : CellWidth.clip(bare, to: max(1, columns))
    }

    /// Reads single keys. Gives what puts the terminal back.
    private func listen() -> @Sendable () -> Void {
        var settings = termios()
        guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else { return {} }
        let before = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        Thread.detachNewThread { [weak self] in
            var key: UInt8 = 0
            while read(STDIN_FILENO, &key, 1) == 1 {
                if key == UInt8(ascii: "q") || key == UInt8(ascii: "Q") { break }
            }
            self?.state.withLock { $0.isOver = true }
        }
        return {
            var settings = before
            tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        }
    }
}
