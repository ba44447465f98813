import BasculeModel
import BasculeResources

/// Asks the programs that make backups what they know.
enum BackupQuestion {
    private static let folder = "/usr/local/lib/bascule"
    /// What changes nothing. Everything else is a step of a plan.
    private static let verbs: Set<String> = ["state", "forecast", "restored"]

    /// What the program answered: JSON, at most 4 MiB.
    /// - Throws: `backup-unknown` where nothing makes that kind of backup here, `backup-failed` with what it said.
    static func ask(_ kind: String, _ words: [String]) throws -> String {
        guard (1...30).contains(kind.utf8.count), kind.utf8.allSatisfy({ (97...122).contains($0) }),
            let verb = words.first, verbs.contains(verb), words.count <= 32
        else { throw BasculeError(.invalidInput, "no such question about backups") }
        let outcome: ProcessOutcome
        do {
            outcome = try Subprocess.run(["\(folder)/backup-\(kind)"] + words, .init(deadline: .seconds(280)))
        } catch let error as BasculeError where error.code == .unsupported {
            throw BasculeError(
                .backupUnknown, "nothing makes backups of \(kind) on this node",
                hint: "declare services.backup, give the node the role backup, then bascule apply")
        }
        guard outcome.status == 0 else {
            let said = outcome.tail.last { $0.hasPrefix("ERROR: ") }.map { String($0.dropFirst(7)) }
            throw BasculeError(
                .backupFailed, said ?? "the backups of \(kind) say nothing", cause: said == nil ? outcome.cause() : nil)
        }
        return outcome.text
    }
}

extension ErrorCode {
    /// Nothing makes that kind of backup on the node.
    static let backupUnknown: ErrorCode = "backup-unknown"
    /// The program that makes backups refused, or failed.
    static let backupFailed: ErrorCode = "backup-failed"
}
