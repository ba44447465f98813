import Dispatch
import Foundation
import Synchronization

/// The bottom of the terminal, drawn again and again, with lasting lines scrolling away above it.
///
/// The cursor rests on the block's first line: whatever the terminal does to lines on a resize (rewrap, cut, push up),
/// everything from the cursor on is the block's and can be wiped without counting. While a line is written the terminal
/// does not wrap. The size is asked before every drawing, so a resize shows within a tenth of a second without a signal
/// handler. Only the drawing thread and `pause` write; who reports something never waits for a slow terminal.
final class LiveScreen: Sendable {
    /// The block's lines for a size in columns and rows, and a tick that counts tenths of a second.
    typealias Render = @Sendable (_ columns: Int, _ rows: Int, _ tick: Int) -> [String]

    private struct State {
        var pending: [String] = []
        var isDrawn = false
        var ended = false
        var tick = 0
    }

    private let state = Mutex(State())
    /// Held while something is written; longer by `pause`.
    private let writing = NSLock()
    private let render: Render
    private let onEnd: @Sendable () -> Void
    // Made once, cancelled once; sources may be used from any thread.
    private nonisolated(unsafe) let signals: [any DispatchSourceSignal]

    /// The screen that a question has to be asked through.
    private static let current = Mutex<LiveScreen?>(nil)

    /// Whether standard output is a terminal that can move its cursor.
    static var isPossible: Bool {
        Terminal.outputIsTerminal && ProcessInfo.processInfo.environment["TERM"].map { $0 != "dumb" } ?? false
    }

    /// - Parameter onEnd: done once, when it ends, also by a signal.
    init(onEnd: @escaping @Sendable () -> Void = {}, _ render: @escaping Render) {
        (self.render, self.onEnd) = (render, onEnd)
        signals = LiveScreen.cleanEnds()
        LiveScreen.current.withLock { $0 = self }
        Thread.detachNewThread { [weak self] in
            while let self, self.draw() { Thread.sleep(forTimeInterval: 0.1) }
        }
    }

    /// An interrupted program leaves a clean line for the shell's prompt.
    private static func cleanEnds() -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                endAll()
                signal(number, SIG_DFL)
                raise(number)
            }
            source.resume()
            return source
        }
    }

    /// A line that stays, above the block.
    func say(_ line: String) { state.withLock { $0.pending.append(line) } }

    /// Writes what is waiting and the block. False when it has ended.
    private func draw() -> Bool {
        writing.lock()
        defer { writing.unlock() }
        let (lines, isDrawn, tick) = state.withLock { state in
            defer { (state.pending, state.tick) = ([], state.tick + 1) }
            return (state.ended ? nil : state.pending, state.isDrawn, state.tick)
        }
        guard let lines else { return false }
        let size = LiveScreen.size
        let block = render(size.columns, size.rows, tick).prefix(max(1, size.rows - 1))
        var text = isDrawn || !lines.isEmpty ? "\r\u{1B}[J" : ""
        text += lines.map { $0 + "\n" }.joined()
        if !block.isEmpty {
            text += "\u{1B}[?7l" + block.joined(separator: "\r\n") + "\u{1B}[?7h\r"
            if block.count > 1 { text += "\u{1B}[\(block.count - 1)A" }
        }
        state.withLock { $0.isDrawn = !block.isEmpty }
        LiveScreen.write(text)
        return true
    }

    /// Wipes the block, writes what is waiting, and draws no more.
    func end() {
        LiveScreen.current.withLock { if $0 === self { $0 = nil } }
        writing.lock()
        defer { writing.unlock() }
        wipe()
        if state.withLock({ state in
            defer { state.ended = true }
            return !state.ended
        }) {
            onEnd()
            for source in signals { source.cancel() }
            for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
        }
    }

    /// Ends whatever is drawn, for a program that is about to leave.
    static func endAll() { current.withLock { $0 }?.end() }

    /// Does something with the terminal, a question for example, without the block in the way.
    static func pause<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard let screen = current.withLock({ $0 }) else { return try body() }
        screen.writing.lock()
        defer { screen.writing.unlock() }
        screen.wipe()
        return try body()
    }

    private func wipe() {
        let text = state.withLock { state in
            defer { (state.pending, state.isDrawn) = ([], false) }
            return (state.isDrawn ? "\r\u{1B}[J" : "") + state.pending.map { $0 + "\n" }.joined()
        }
        LiveScreen.write(text)
    }

    /// Columns and rows; 80 × 24 where the terminal does not say.
    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
        return isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
    }

    private static func write(_ text: String) {
        guard !text.isEmpty else { return }
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }
}
