import BasculeModel
import FoundationEssentials
import Glibc

extension ErrorCode {
    /// Borg, or rclone, did not do what was asked.
    package static let borgFailed: ErrorCode = "borg-failed"
}

/// Runs Borg on one repository. Secrets lie in files that only the account has which runs it, and nowhere else.
final class BorgTool {
    let repository: BorgRepository
    private let directory: String
    private let passphrase: String

    /// - Parameter passphrase: instead of the repository's own: to see a wrong one refused.
    init(_ repository: BorgRepository, resolve: (SecretName) throws -> Secret, passphrase wrong: Secret? = nil) throws {
        self.repository = repository
        var template = Array("/var/tmp/bascule-borg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BasculeError(.inputOutput, "Could not make a directory", cause: String(cString: strerror(errno)))
        }
        directory = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        passphrase = "\(directory)/passphrase"
        let account = repository.user.flatMap { getpwnam($0)?.pointee }
        if repository.user != nil, account == nil {
            throw BasculeError(
                .invalidInput, "The account of the repository is not there", at: .thing(repository.location))
        }
        try Self.write(try (wrong ?? resolve(repository.passphrase)).reveal(), to: passphrase)
        var files = [directory, passphrase]
        if let login = repository.login {
            try Self.write(try resolve(login).reveal(), to: "\(directory)/key")
            let key = (repository.hostKey ?? "").split(separator: " ").prefix(2).joined(separator: " ")
            try Self.write("bascule-vault \(key)\n", to: "\(directory)/known_hosts")
            files += ["\(directory)/key", "\(directory)/known_hosts"]
        }
        for path in files where account != nil { chown(path, account?.pw_uid ?? 0, account?.pw_gid ?? 0) }
    }

    deinit { ArchiveFolder.removeTree(directory) }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        let bytes = Array(text.utf8)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw BasculeError(.inputOutput, "Could not write a file", cause: String(cString: strerror(errno)))
        }
    }

    private var environment: [String] {
        var out = [
            "BORG_BASE_DIR=\(directory)", "BORG_PASSCOMMAND=cat \(passphrase)", "BORG_REPO=\(repository.location)",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=no", "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes",
            "BORG_EXIT_CODES=legacy", "TZ=UTC",
        ]
        if repository.login != nil {
            out.append(
                """
                BORG_RSH=ssh -i \(directory)/key -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes \
                -o StrictHostKeyChecking=yes -o HostKeyAlias=bascule-vault \
                -o UserKnownHostsFile=\(directory)/known_hosts -o GlobalKnownHostsFile=/dev/null \
                -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR
                """)
        }
        return out
    }

    private func command(_ arguments: [String], in folder: String? = nil) -> FilesCommand {
        var vector = ["borg"] + arguments
        if let user = repository.user {
            vector = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--init-groups"] + vector
        }
        if let folder { vector = ["env", "--chdir=\(folder)"] + vector }
        return FilesCommand(program: vector[0], arguments: Array(vector.dropFirst()), environment: environment)
    }

    /// What Borg prints. A warning (status 1) is let through where `warnings` says so.
    func output(_ arguments: [String], in folder: String? = nil, warnings: Bool = false) throws -> String {
        var text: [UInt8] = []
        let ending = try command(arguments, in: folder).run { bytes in
            guard text.count < 64 << 20 else { throw BasculeError(.borgFailed, "Borg prints without end") }
            text += bytes
        }
        try check(ending, arguments, warnings: warnings)
        return String(decoding: text, as: UTF8.self)
    }

    /// Hands each line of what Borg prints to `take`.
    func lines(_ arguments: [String], in folder: String? = nil, _ take: (String) throws -> Void) throws {
        var splitter = ByteSplitter(separator: 10)
        let ending = try command(arguments, in: folder).run { bytes in
            try splitter.take(bytes) { try take(String(decoding: $0, as: UTF8.self)) }
        }
        try check(ending, arguments, warnings: false)
    }

    private func check(_ ending: FilesCommand.Ending, _ arguments: [String], warnings: Bool) throws {
        guard ending.status != 0, !(warnings && ending.status == 1) else { return }
        throw BasculeError(
            .borgFailed, "borg \(arguments.first { !$0.hasPrefix("-") } ?? "") failed with status \(ending.status)",
            at: .thing(repository.location), cause: printable(ending.complaint.suffix(500), limit: 600),
            hint: "Is the repository there, and is the passphrase its own? bascule status tells whether its node is.")
    }

    /// Oldest first.
    func archives() throws -> [BorgArchive] {
        struct List: Decodable {
            struct Archive: Decodable {
                var name: String
                var start: String
            }
            var archives: [Archive]
        }
        let text = try output(["list", "--json"])
        let list = try JSONDecoder().decode(List.self, from: Data(text.utf8))
        return list.archives.map { BorgArchive(name: $0.name, time: Self.seconds($0.start)) }.sorted {
            $0.time < $1.time
        }
    }

    /// `2026-11-22T02:30:00.000000`, which Borg is told to tell in UTC.
    static func seconds(_ text: String) -> Double {
        let numbers = text.split { !$0.isNumber }.prefix(6).compactMap { Int32($0) }
        guard numbers.count == 6 else { return 0 }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
        (parts.tm_hour, parts.tm_min, parts.tm_sec, parts.tm_isdst) = (numbers[3], numbers[4], numbers[5], 0)
        return Double(timegm(&parts))
    }
}
