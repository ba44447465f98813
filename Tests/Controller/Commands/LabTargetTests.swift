import Foundation
import Testing

@testable import BasculeCommands

@Suite struct LabTargetTests {
    private func target(_ words: String..., holding text: String?) throws -> (LabCommand.Target, String) {
        let folder = NSTemporaryDirectory() + "lab-target-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        if let text { try text.write(toFile: "\(folder)/fleet.yaml", atomically: true, encoding: .utf8) }
        return (try LabCommand.Target.parse(words + ["--file", "\(folder)/fleet.yaml"]), folder)
    }

    @Test func aFileThatCannotBeReadMeansNoOtherLab() throws {
        for text in [nil, "fleet: [", "fleet: shop\nnodes: {a: {provider: moon}}\n"] {
            let (target, folder) = try target(holding: text)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            #expect(throws: ExitStatus.self, "\(text ?? "missing")") { try target.parsed() }
        }
    }

    @Test func aNamedLabNeedsNoFile() throws {
        let (target, folder) = try target("--lab", "other", holding: "fleet: [")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try target.parsed() == nil)
    }

    @Test func withoutAnyFileThereIsNone() throws {
        #expect(try LabCommand.Target.parse([]).parsed() == nil)
    }
}
