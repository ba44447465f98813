import Foundation
import Testing

@Suite struct ArchitectureTests {
    /// Every Swift file of the package's own, read from where this test was compiled.
    static let files: [Checker.SourceFile] = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardizedFileURL
        return ["Sources", "Tests"].flatMap { folder in
            let names = FileManager.default.enumerator(atPath: root.appending(path: folder).path)?.compactMap {
                $0 as? String
            }
            return (names ?? []).filter { $0.hasSuffix(".swift") }.sorted().compactMap { name in
                let path = "\(folder)/\(name)"
                return (try? String(contentsOf: root.appending(path: path), encoding: .utf8))
                    .map { Checker.SourceFile(path: path, text: $0) }
            }
        }
    }()

    @Test func theSourcesKeepToTheTable() {
        #expect(Self.files.count > 100, "the sources were not found")
        let violations = Checker.violations(in: Self.files)
        #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
    }

    @Test(arguments: Layer.all.map(\.folder))
    func everyModuleOfTheTableExists(folder: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        #expect(FileManager.default.fileExists(atPath: root.appending(path: folder).path))
    }

    @Test func theTableItselfHasNoWayBack() {
        for (index, layer) in Layer.all.enumerated() {
            let below = Set(Layer.all[..<index].map(\.module))
            #expect(layer.ours.isSubset(of: below), "\(layer.module) is above what it imports")
        }
    }

    @Test func theAgentKnowsNothingOfTheController() {
        let controller = Set(Layer.all.filter { $0.folder.hasPrefix("Sources/Controller/") }.map(\.module))
        let agent = Set(Layer.all.filter { $0.folder.hasPrefix("Sources/NodeAgent/") }.map(\.module))
        for layer in Layer.all where !layer.folder.hasPrefix("Sources/Controller/") {
            #expect(layer.ours.isDisjoint(with: controller))
        }
        for layer in Layer.all where !layer.folder.hasPrefix("Sources/NodeAgent/") {
            #expect(layer.ours.isDisjoint(with: agent))
        }
    }
}
