import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// `bascule recovery-kit`
struct RecoveryKitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recovery-kit",
        abstract: "Print what a new workstation needs when this one is lost. Keep it offline.",
        discussion: """
            Examples:
              bascule recovery-kit --out kit.txt  then print it, and remove the file
              bascule recovery-kit --renew
                  after a kit was lost: another key; the old kit opens no new backup
            """)
    @OptionGroup var options: FleetOptions
    @Option(help: "Write it to a new file (mode 0600) instead of the terminal.") var out: String?
    @Flag(help: "Make another recovery key first.") var renew = false

    func run() async throws {
        guard out != nil || Terminal.outputIsTerminal else {
            throw BasculeError(
                .invalidInput, "a recovery kit is written to a terminal or to a file of its own",
                hint: "bascule recovery-kit --out FILE")
        }
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        if renew { _ = try session.store.renewRecoveryKey() }
        let kit = try await RecoveryKit(of: session)
        guard !kit.nodes.isEmpty else {
            throw BasculeError(
                .notFound, "no node has an agent yet: there is nowhere to keep backups", hint: "bascule apply")
        }
        let text = kit.text(date: String(ISO8601DateFormatter().string(from: Date()).prefix(10)))
        if let out { try RecoveryKitCommand.write(text, to: out) } else { Terminal.say(text) }
        // A kit is worth what the backups are worth.
        let pushed = try await BackupPush(session: session).run()
        await session.close()
        BackupReport.show(pushed)
        guard !pushed.kept.isEmpty else {
            throw BasculeError(
                .adoptFailed, "no node took a backup: the kit opens older ones only",
                hint: "bascule status shows what is wrong")
        }
        if let out {
            Terminal.say("the kit is in \(out); a backup is on \(pushed.kept.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw BasculeError(
                .inputOutput, "\(path) could not be made", cause: String(cString: strerror(errno)),
                hint: "name a file that is not there yet")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try file.write(contentsOf: Data(text.utf8))
        try file.synchronize()
    }
}

/// Says which nodes missed a backup.
enum BackupReport {
    /// Backs the store up to the nodes, if it is time. A backup that fails is said, and fails no apply.
    static func afterApply(_ session: FleetSession, changed: Bool) async {
        do {
            if let outcome = try await BackupPush(session: session).afterApply(changed: changed) { show(outcome) }
        } catch {
            let failure = BasculeError.wrapping(error, "unexpected")
            Terminal.error(
                "the store was not backed up to the nodes: \(Terminal.escape(failure.message)) [\(failure.code)]")
        }
    }

    static func show(_ outcome: BackupPush.Outcome) {
        for (node, error) in outcome.missed.sorted(by: { $0.key < $1.key }) {
            Terminal.error("\(node) has no new backup of the store: \(Terminal.escape(error.message)) [\(error.code)]")
        }
    }
}

/// `bascule adopt`
struct AdoptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract:
            "Take a fleet over on this workstation, with root's login on its nodes; the other one is refused then.",
        discussion: """
            Examples:
              bascule adopt --kit kit.txt --key ~/.ssh/id_ed25519
                  the workstation is lost: its store comes from a node
              bascule adopt  this copy of the store becomes the newest
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var contact: ContactOptions
    @Option(help: "The recovery kit; without it the store on this workstation is used.") var kit: String?
    @Option(help: "Your private key file for the login on the nodes, if not the fleet file's or ssh-agent's.")
    var key: String?
    @Flag(help: "With --kit: put a store that is here already aside.") var replace = false
    @Flag(help: "Do not ask.") var yes = false

    func run() async throws {
        let parsedKit = try kit.map { path in
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw BasculeError(.inputOutput, "\(path) cannot be read")
            }
            return try RecoveryKit(parsing: text)
        }
        let fleet = try fleetFile(parsedKit)
        let path = options.store ?? Store.defaultPath(fleet: fleet.fleet.name)
        if parsedKit == nil, !FileManager.default.fileExists(atPath: path) {
            throw BasculeError(
                .notFound, "there is no store at \(path)",
                hint: "bascule adopt --kit FILE fetches it from a node; bascule recovery-kit made the file")
        }
        guard
            yes
                || Terminal.ask(
                    "Take the fleet \(fleet.fleet.name) over? Its nodes get new keys, and its former workstation is refused."
                )
        else { throw BasculeError(.cancelled, "nothing was done") }
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        let lease = try StoreLease(beside: path)
        defer { withExtendedLifetime(lease) {} }
        var first = contact.contact()
        first.key = key
        let adoption = Adoption(contact: first) { Terminal.say(Terminal.escape($0)) }
        if let parsedKit {
            _ = try await adoption.restore(parsedKit, to: path, replace: replace)
        } else {
            let session = try FleetSession(fleet, file: options.file, storePath: path)
            _ = try await adoption.run(with: session)
            await session.close()
        }
        try await finish(adoption, fleet, path)
    }

    /// The store is the newest; now the nodes learn it. Whatever fails from here on is made good by root's login again.
    private func finish(_ adoption: Adoption, _ fleet: ParsedFleet, _ path: String) async throws {
        let session = try FleetSession(fleet, file: options.file, storePath: path)
        let report = try await adoption.take(session)
        if !report.taken.isEmpty { BackupReport.show(try await BackupPush(session: session).run()) }
        await session.close()
        Terminal.say(
            "epoch \(report.epoch): this workstation has the fleet; \(report.taken.count) nodes obey it\(report.taken.isEmpty ? "" : ": \(report.taken.map(\.rawValue).joined(separator: ", "))")"
        )
        for (node, error) in report.left.sorted(by: { $0.key < $1.key }) {
            Terminal.error("\(node) still obeys the former workstation")
            Terminal.fail(error)
            Terminal.error("when it answers again: bascule node bootstrap \(node) --yes")
        }
        Terminal.say("next: bascule status, then bascule plan")
        if !report.left.isEmpty { throw ExitStatus(code: 1) }
    }

    /// The fleet file; with a kit it may be missing: the kit names the nodes.
    private func fleetFile(_ kit: RecoveryKit?) throws -> ParsedFleet {
        guard let kit, !FileManager.default.fileExists(atPath: options.file) else {
            let parsed = try options.parse()
            if let kit, kit.fleet != parsed.fleet.name {
                throw BasculeError(
                    .invalidInput, "the kit is of the fleet \(kit.fleet), the file of \(parsed.fleet.name)")
            }
            return parsed
        }
        let nodes = kit.nodes.map { "  \($0.name): {address: \"\($0.host)\", port: \($0.port), user: \($0.user)}" }
        let names = kit.nodes.map { "\($0.name): []" }.joined(separator: ", ")
        do {
            return try FleetFile.parse(
                text:
                    "fleet: \(kit.fleet)\nnodes:\n\(nodes.joined(separator: "\n"))\ntopologies:\n  all: {\(names)}\ntopology: all\n",
                path: options.file)
        } catch {
            throw BasculeError(.invalidInput, "the kit's nodes cannot be read", cause: error.render())
        }
    }
}
