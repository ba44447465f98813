import BasculeFuzzTargets
import Foundation
import Testing

/// What fuzzing started from and what it found, once more: an input that once broke something breaks this run.
@Suite struct CorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Corpus")

    @Test(arguments: FuzzTarget.all.map(\.name)) func everyInputIsSurvived(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let folder = CorpusTests.folder.appendingPathComponent(name)
        let inputs = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!inputs.isEmpty)
        let clock = ContinuousClock()
        for input in inputs {
            let bytes = Array(try Data(contentsOf: input))
            let spent = clock.measure { target.take(bytes) }
            #expect(spent < .seconds(5), "\(input.lastPathComponent)")
        }
    }
}
