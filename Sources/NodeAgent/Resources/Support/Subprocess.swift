import BasculeModel
import Glibc

/// What an ended program left behind.
package struct ProcessOutcome: Sendable {
    /// The exit status; `128 + signal` when a signal ended it.
    package var status: Int32
    /// Standard output, cut at the caller's limit.
    package var stdout: [UInt8]
    /// The last lines of both outputs as they came.
    package var tail: [String]

    /// Standard output as text.
    package var text: String { String(decoding: stdout, as: UTF8.self) }

    /// The last lines as the cause of an error, at most 2,000 characters.
    package func cause(lines: Int = 15) -> String? {
        let text = tail.suffix(lines).joined(separator: "\n")
        return text.isEmpty ? nil : String(text.suffix(2000))
    }
}

/// Runs programs of the node. Argument vectors only; each in a process group of its own.
package enum Subprocess {
    /// How a program is run.
    package struct Options {
        /// What it reads; `/dev/null` where empty.
        package var stdin: [UInt8] = []
        /// A file that it reads instead, opened by the agent: the program's user need not reach it.
        package var stdinPath: String?
        /// Added to a minimal environment (PATH, HOME, LC_ALL); nothing of the agent's own is passed on.
        package var environment: [String: String] = [:]
        /// Run as this user with its groups, through `setpriv`; nil stays root.
        package var user: String?
        package var directory: String?
        package var deadline: Duration = .seconds(60)
        /// How many bytes of standard output are kept.
        package var limit = 4 << 20
        /// Asked about every 20 ms; true kills the whole group.
        package var isCancelled: (() -> Bool)?
        /// Told each line of either output, capped at 2,000 bytes.
        package var onLine: ((String) -> Void)?

        package init(
            stdin: [UInt8] = [], environment: [String: String] = [:], user: String? = nil, directory: String? = nil,
            deadline: Duration = .seconds(60), isCancelled: (() -> Bool)? = nil, onLine: ((String) -> Void)? = nil
        ) {
            (self.stdin, self.environment, self.user, self.directory) = (stdin, environment, user, directory)
            (self.deadline, self.isCancelled, self.onLine) = (deadline, isCancelled, onLine)
        }
    }

    /// Runs a program to its end and waits for it on the calling thread.
    /// - Throws: `unsupported` where the program does not exist, `timed-out`, `cancelled`; a failing status is a result.
    package static func run(_ argv: [String], _ options: Options = Options()) throws -> ProcessOutcome {
        var vector = argv
        if let user = options.user, user != "root" {
            let account = try AccountDatabase.current().requireUser(user)
            vector = ["setpriv", "--reuid=\(account.uid)", "--regid=\(account.gid)", "--init-groups", "--"] + argv
        }
        var child = try SpawnedChild(vector, options)
        return try child.wait(options)
    }

    /// Runs a program that has to succeed.
    /// - Throws: besides, `code` with the last lines of what the program said.
    @discardableResult
    package static func require(
        _ argv: [String], _ what: String, code: ErrorCode = .commandFailed, hint: String? = nil,
        _ options: Options = Options()
    ) throws -> ProcessOutcome {
        let outcome = try run(argv, options)
        guard outcome.status == 0 else {
            throw BasculeError(
                code, "\(what) failed with status \(outcome.status)", cause: outcome.cause(), hint: hint)
        }
        return outcome
    }

    /// What every child starts with.
    static func environment(adding more: [String: String], home: String) -> [String: String] {
        [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
        ].merging(more) { $1 }
    }
}
