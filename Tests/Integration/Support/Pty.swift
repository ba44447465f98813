import Foundation
import Synchronization

/// The program on a terminal of its own, whose size can change, with a screen that says what a person would see.
final class Pty: Sendable {
    private struct State {
        var screen: Screen
        var raw: [UInt8] = []
        var status: Int32?
    }

    private let process = Process()
    private let master: Int32
    private let state: Mutex<State>
    let pid: pid_t

    init(_ argv: [String], environment: [String: String?], columns: Int, rows: Int) throws {
        var (own, other) = (Int32(-1), Int32(-1))
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        guard openpty(&own, &other, nil, nil, &size) == 0 else { throw POSIXError(.EIO) }
        master = own
        state = Mutex(State(screen: Screen(columns: columns, rows: rows)))
        let terminal = FileHandle(fileDescriptor: other, closeOnDealloc: true)
        process.executableURL = URL(fileURLWithPath: argv[0])
        process.arguments = Array(argv.dropFirst())
        var merged = ProcessInfo.processInfo.environment
        for (name, value) in environment { merged[name] = value }
        merged["TERM"] = "xterm-256color"
        process.environment = merged
        (process.standardInput, process.standardOutput, process.standardError) = (terminal, terminal, terminal)
        try process.run()
        pid = process.processIdentifier
        process.terminationHandler = { [weak self] ended in
            self?.state.withLock { $0.status = ended.terminationReason == .exit ? ended.terminationStatus : 128 }
        }
        Thread.detachNewThread { [weak self, own] in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(own, &buffer, buffer.count)
                guard count > 0, let self else { break }
                self.state.withLock {
                    $0.raw += buffer[..<count]
                    $0.screen.feed(buffer[..<count])
                }
            }
            close(own)
        }
    }

    deinit { if process.isRunning { kill(pid, SIGKILL) } }

    var status: Int32? { state.withLock { $0.status } }
    var screen: Screen { state.withLock { $0.screen } }
    var raw: String { String(decoding: state.withLock { $0.raw }, as: UTF8.self) }

    /// Another size; the program is told as a terminal does.
    func resize(columns: Int, rows: Int) {
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        state.withLock { state in
            _ = ioctl(master, UInt(TIOCSWINSZ), &size)
            state.screen.resize(columns: columns, rows: rows)
        }
        kill(pid, SIGWINCH)
    }

    func type(_ text: String) { _ = text.utf8CString.withUnsafeBytes { write(master, $0.baseAddress, $0.count - 1) } }
}

/// As much of a terminal as the program uses: what is on it, what scrolled away, and whether a line ever ran over.
struct Screen: Sendable {
    private(set) var columns: Int
    private(set) var rows: Int
    /// Everything above the cursor's page, then the page.
    private(set) var lines: [[Character]] = [[]]
    private var top = 0
    private var row = 0
    private var column = 0
    private var wraps = true
    private var pending: [UInt8] = []
    /// Characters that were written at or behind the last column.
    private(set) var overruns = 0

    init(columns: Int, rows: Int) { (self.columns, self.rows) = (columns, rows) }

    var text: [String] { lines.map { String($0) } }

    mutating func resize(columns: Int, rows: Int) {
        (self.columns, self.rows) = (columns, rows)
        // The cursor stays in sight; what is below stays where it is.
        top = max(top, row - rows + 1)
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        pending += bytes
        while let next = pending.first {
            if next == 0x1B {
                guard let end = pending.dropFirst(2).firstIndex(where: { $0 >= 0x40 && $0 <= 0x7E }) else { return }
                control(String(decoding: pending[2..<end], as: UTF8.self), pending[end])
                pending.removeFirst(end + 1)
                continue
            }
            let length = next < 0x80 ? 1 : next < 0xE0 ? 2 : next < 0xF0 ? 3 : 4
            guard pending.count >= length else { return }
            put(Character(String(decoding: pending[..<length], as: UTF8.self)))
            pending.removeFirst(length)
        }
    }

    private mutating func put(_ character: Character) {
        switch character {
        case "\r": column = 0
        case "\n", "\r\n":
            row += 1
            column = 0
            while lines.count <= row { lines.append([]) }
            top = max(top, row - rows + 1)
        default:
            if column >= columns {
                overruns += 1
                if wraps {
                    put("\n")
                } else {
                    column = columns - 1
                }
            }
            while lines[row].count <= column { lines[row].append(" ") }
            lines[row][column] = character
            column += 1
        }
    }

    private mutating func control(_ argument: String, _ command: UInt8) {
        switch (command, argument) {
        case (UInt8(ascii: "J"), _):
            lines.removeSubrange((row + 1)...)
            lines[row] = Array(lines[row].prefix(column))
        case (UInt8(ascii: "A"), _): row = max(top, row - (Int(argument) ?? 1))
        case (UInt8(ascii: "h"), "?7"): wraps = true
        case (UInt8(ascii: "l"), "?7"): wraps = false
        default: break
        }
    }
}
