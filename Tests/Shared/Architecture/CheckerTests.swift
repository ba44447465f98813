import Testing

/// The checker against planted violations: without these, a checker that finds nothing would look like order.
@Suite struct CheckerTests {
    private func violations(_ path: String, _ text: String) -> [String] {
        Checker.violations(in: [Checker.SourceFile(path: path, text: text)])
    }

    @Test(arguments: [
        ("Sources/Shared/Model/A.swift", "import BasculeProtocol"),
        ("Sources/Shared/Net/A.swift", "import Foundation"),
        ("Sources/Shared/Net/A.swift", "@preconcurrency import Foundation"),
        ("Sources/Shared/Net/A.swift", "private import struct Foundation.URL"),
        ("Sources/NodeAgent/Core/A.swift", "import Glibc; import Foundation"),
        ("Sources/NodeAgent/Core/A.swift", "/* why */ import BasculeFleet"),
        ("Sources/NodeAgent/Data/A.swift", "import BasculeAgentCore"),
        ("Sources/NodeAgent/Data/A.swift", "@_implementationOnly import BasculeProtocol"),
        ("Sources/Controller/Planning/A.swift", "import BasculeConducting"),
        ("Sources/Controller/Planning/A.swift", "package import GRDB"),
        ("Sources/Controller/Store/A.swift", "import CLibSSH2"),
        ("Sources/Controller/Conducting/A.swift", "import ArgumentParser"),
        ("Sources/Controller/Conducting/A.swift", "import FoundationNetworking"),
        ("Sources/Controller/Commands/A.swift", "import BasculeAgentCore"),
        ("Sources/Controller/Catalogue/A.swift", "import Yams"),
        ("Sources/Controller/Main/A.swift", "import BasculeStore"),
        ("Sources/Elsewhere/A.swift", "import Glibc"),
    ])
    func aForbiddenImportIsFound(path: String, text: String) {
        #expect(violations(path, "// A file.\n\(text)\n").count == 1)
    }

    @Test(arguments: [
        ("Sources/Shared/Model/A.swift", "// import Foundation"),
        ("Sources/Shared/Model/A.swift", "/* a\nimport Foundation\n*/ import Glibc"),
        ("Sources/Shared/Model/A.swift", "let text = \"\"\"\n    import Foundation\n    \"\"\""),
        ("Sources/Shared/Model/A.swift", "func important() { let words = \"import Foundation\" }"),
        ("Sources/Shared/Crypto/A.swift", "import CSodium"),
        ("Sources/Controller/Fleet/A.swift", "internal import CYaml"),
        ("Sources/Controller/Commands/Output/A.swift", "import ArgumentParser\nimport Foundation"),
        ("Tests/Shared/Net/A.swift", "import Foundation"),
    ])
    func anAllowedOneIsNot(path: String, text: String) {
        #expect(violations(path, text + "\n") == [])
    }

    @Test func aViolationNamesItsPlace() {
        let text = "// First.\n\nimport Glibc\nimport BasculeStore\n"
        #expect(
            violations("Sources/NodeAgent/Core/A.swift", text)
                == ["Sources/NodeAgent/Core/A.swift:4: BasculeAgentCore may not import BasculeStore"])
    }

    @Test func anImportAfterAStringIsStillRead() {
        let text = "let a = \"\"\"\n    x\n    \"\"\"\nimport Foundation\n"
        #expect(violations("Sources/Shared/Net/A.swift", text).count == 1)
    }

    @Test func longFilesAndMainsAreFound() {
        func file(_ lines: Int) -> String { String(repeating: "// a line\n", count: lines) }
        #expect(violations("Sources/Shared/Net/A.swift", file(400)) == [])
        #expect(violations("Sources/Shared/Net/A.swift", file(401)).count == 1)
        #expect(violations("Tests/Shared/Net/A.swift", file(401)).count == 1)
        #expect(violations("Sources/Controller/Main/Main.swift", file(60)) == [])
        #expect(violations("Sources/Controller/Main/Main.swift", file(61)).count == 1)
    }
}
