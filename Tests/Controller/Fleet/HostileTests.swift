import BasculeFleet
import BasculeModel
import Testing

@Suite struct HostileTests {
    let folder: FleetFolder
    init() throws { folder = try FleetFolder() }

    @Test func aliasBombsAreRefusedAtOnce() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let alias = "*a\(level - 1)"
            text += "a\(level): &a\(level) [\(Array(repeating: alias, count: 10).joined(separator: ", "))]\n"
        }
        let clock = ContinuousClock()
        var found: [String] = []
        let time = clock.measure { found = folder.complaints(text) }
        #expect(found.count == 1 && found[0].hasSuffix("fleet-too-large"))
        #expect(time < .seconds(1))
    }

    @Test func anAliasThatIsItsOwnParentIsRefused() {
        #expect(folder.complaints("a: &a [*a]\n") == ["1:8 fleet-syntax"])
    }

    @Test func ordinaryAliasesWork() throws {
        let text = smallest + "resources: [{on: &who [n1], package: a}, {on: *who, package: b}]"
        #expect(try folder.parse(text).fleet.resources.map(\.on) == [.some([.node("n1")]), .some([.node("n1")])])
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
        #expect(folder.complaints("a: " + deep) == ["1:5 fleet-too-large"])
        let blocks = (0..<200).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
        #expect(folder.complaints(blocks).map { $0.hasSuffix("fleet-too-large") } == [true])
    }

    @Test func sizeIsBounded() {
        let line = "fleet: " + String(repeating: "a", count: 10 << 20)
        #expect(folder.complaints(line) == ["1:1 fleet-too-large"])
        let fitting = smallest + "x: " + String(repeating: "a", count: 1_000_000)
        let errors = folder.errors(fitting)
        #expect(errors.map(FleetFolder.brief) == ["4:1 fleet-unknown-key"])
        #expect(errors.allSatisfy { $0.render().utf8.count < 1000 })
    }

    @Test func theNumberOfValuesIsBounded() {
        let many = "x: [" + Array(repeating: "1", count: 20_000).joined(separator: ",") + "]"
        #expect(folder.complaints(smallest + many).map { $0.hasSuffix("fleet-too-large") } == [true])
    }

    @Test func theNumberOfErrorsIsBounded() {
        let many = (0..<3000).map { "k\($0): 1" }.joined(separator: "\n")
        #expect(folder.complaints(smallest + many).count == 200)
    }

    /// Any damage to the sample gives a fleet or placed errors, never a crash. Seeded, so that a failure comes back.
    @Test func mutatedFilesNeverCrash() {
        var random = Seeded(state: 20_261_121)
        let sample = Array(designSample.utf8)
        let pieces = [
            "{", "}", "[", "]", ": ", "\n", "  ", "&a ", "*a", "!secret ", "!!", "\"", "'", "|\n", "\t", "\\", "<<: ",
            "- ", "%", "\u{fffd}", "\u{0}", "é", "0x", "~",
        ]
        let clock = ContinuousClock()
        let start = clock.now
        var parsed = 0
        var refused = 0
        while clock.now - start < .milliseconds(900) {
            var bytes = sample
            for _ in 0...random.below(4) {
                let at = random.below(bytes.count)
                switch random.below(5) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(contentsOf: Array(pieces[random.below(pieces.count)].utf8), at: at)
                case 2: bytes[at] = UInt8(truncatingIfNeeded: random.below(256))
                case 3: bytes.removeSubrange(at..<min(bytes.count, at + random.below(60)))
                default:
                    let end = min(bytes.count, at + random.below(200))
                    bytes.insert(contentsOf: Array(bytes[at..<end]), at: random.below(bytes.count))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.count
            do throws(FleetErrors) {
                _ = try folder.parse(text)
                parsed += 1
            } catch {
                refused += 1
                #expect(!error.errors.isEmpty)
                for diagnostic in error.errors + error.warnings {
                    guard case .file(_, let line, let column)? = diagnostic.error.place else {
                        Issue.record("an error without a place: \(diagnostic.error)")
                        continue
                    }
                    #expect(line >= 1 && line <= lines + 1 && column >= 1, "\(diagnostic.error)")
                    #expect(!diagnostic.render(color: true).isEmpty)
                }
            }
        }
        #expect(refused > 0 && parsed + refused > 50)
    }
}

/// SplitMix64.
private struct Seeded {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return limit <= 0 ? 0 : Int((mixed ^ (mixed >> 31)) % UInt64(limit))
    }
}
