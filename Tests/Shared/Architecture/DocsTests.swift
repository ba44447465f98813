import BasculeFleet
import Foundation
import Testing

/// What the documentation shows is what the program says.
@Suite struct DocsTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")

    /// `make docs` sets BASCULE_WRITE_DOCS and has this test write the page instead.
    @Test func theFleetFilesReferenceIsTheParsers() throws {
        let page = Self.root.appending(path: "docs/fleet-file.md")
        let wanted = FleetSchema.markdown()
        if ProcessInfo.processInfo.environment["BASCULE_WRITE_DOCS"] != nil {
            try wanted.write(to: page, atomically: true, encoding: .utf8)
        }
        let shown = try String(contentsOf: page, encoding: .utf8)
        let stale = zip(lines(shown), lines(wanted)).first { $0 != $1 }.map(\.1)
        #expect(
            shown == wanted, "docs/fleet-file.md is not current; run make docs. First difference: \(stale ?? "its end")"
        )
    }

    /// Whoever reads docs/architecture.md finds every module, and every module that it names exists.
    @Test func theArchitectureNamesEveryModule() throws {
        let text = try String(contentsOf: Self.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        for layer in Layer.all where !layer.module.lowercased().hasPrefix("c") {
            #expect(text.contains("`\(layer.folder)`"), "docs/architecture.md does not name \(layer.folder)")
        }
        for match in text.matches(of: /`(Sources\/[A-Za-z0-9\/]+)/) {
            let path = Self.root.appending(path: String(match.1)).path
            #expect(
                FileManager.default.fileExists(atPath: path),
                "docs/architecture.md names \(match.1), which is not there")
        }
    }

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
}
