import BasculeModel
import Testing

@testable import BasculeResources

/// The systemctl that packages' scripts find: what it does of its own accord, and what it passes on.
@Suite struct SystemdReloadsTests {
    /// What the scripts call, line by line, and what the real one is called with.
    @Test(arguments: [
        (["--system daemon-reload", "daemon-reload"], "", true),
        (["--system daemon-reload", "daemon-reload", "start x"], "daemon-reload|start x", false),
        (["daemon-reload", "is-active x", "is-enabled x"], "is-active x|is-enabled x", true),
        // These make systemd read its files themselves.
        (["daemon-reload", "enable x", "start x"], "enable x|start x", false),
        (
            ["--system daemon-reload", "--no-block restart x", "reload y"],
            "daemon-reload|--no-block restart x|reload y", false
        ),
        (["daemon-reload", "show -p A x", "daemon-reload"], "daemon-reload|show -p A x", true),
        (["-p A show x"], "-p A show x", false),
        (["restart a b"], "restart a b", false),
    ]) func reloadsArePutOff(_ calls: [String], _ expected: String, _ isDue: Bool) throws {
        let workshop = try Workshop()
        let (tool, real) = ("\(workshop.path)/systemctl", "\(workshop.path)/real")
        let due = "\(workshop.path)/due"
        let mode = Permissions(mode: 0o755)
        try AtomicFile.write(tool, Array(SystemdReloads.script(real, due).utf8), mode)
        try AtomicFile.write(real, Array("#!/bin/sh\necho \"$*\" >> \(workshop.path)/log\n".utf8), mode)
        for call in calls {
            try Subprocess.require([tool] + call.split(separator: " ").map(String.init), "call", .init())
        }
        let log = try AtomicFile.read("\(workshop.path)/log").map { String(decoding: $0, as: UTF8.self) } ?? ""
        #expect(
            log.split(separator: "\n", omittingEmptySubsequences: false).dropLast().joined(separator: "|") == expected)
        // A reload that nobody made up for is still due.
        #expect(try (AtomicFile.read(due) != nil) == isDue)
    }
}
