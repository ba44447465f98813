import BasculeConducting
import Foundation

/// `bascule mail check` for people.
enum MailView {
    static func lines(_ finding: MailFinding) -> [String] {
        let what = finding.type.map { "\($0) " } ?? ""
        var head =
            "\(mark(finding)) \(finding.check.padding(toLength: 10, withPad: " ", startingAt: 0)) \(what)\(finding.name)"
        if finding.published { head += "  published" }
        if let detail = finding.detail { head += "  \(Terminal.escape(detail))" }
        var lines = [head]
        if let line = finding.line, finding.status != .right || finding.published {
            lines += line.split(separator: "\n").map { "    \($0)" }
        }
        if finding.status != .right, let hint = finding.hint { lines.append("    → \(Terminal.escape(hint))") }
        return lines
    }

    private static func mark(_ finding: MailFinding) -> String {
        switch finding.status {
        case .right: Terminal.paint("✓", .green)
        case .unknown: Terminal.paint("?", .yellow)
        case .missing, .wrong: finding.isAdvice ? Terminal.paint("!", .yellow) : Terminal.paint("✗", .red)
        }
    }

    static func summary(_ findings: [MailFinding]) -> String {
        let open = findings.filter { !$0.isAdvice && $0.status != .right }
        guard !open.isEmpty else { return "all right: receivers have no reason to doubt this mail" }
        let unknown = open.count { $0.status == .unknown }
        let todo = open.count - unknown
        return "\(todo) to do" + (unknown > 0 ? ", \(unknown) could not be found out" : "")
    }
}
