import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Dispatch
import Testing

@testable import BasculeAgentCore

@Suite struct IdentityTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    private func open() throws -> AgentIdentity { try AgentIdentity(path: "\(folder.path)/identity.json") }

    @Test func staysTheSame() throws {
        let first = try open()
        let second = try open()
        #expect(first.machine == second.machine && first.machine.count == 32)
        #expect(first.nodeKey == second.nodeKey && first.nodeKey.count == 32)
        #expect(first.sealingPublic == second.sealingPublic)
        let sealed = try SealingKeyPair.seal([1, 2], to: Hex.decode(first.sealingPublic) ?? [])
        #expect(try second.sealing.open(sealed) == [1, 2])
    }

    @Test func aLowerEpochIsRefusedForEver() throws {
        let identity = try open()
        try identity.meet(epoch: 3, holder: "a")
        try identity.meet(epoch: 3, holder: "a")
        #expect(code { try identity.meet(epoch: 2, holder: "b") } == .staleController)
        try identity.meet(epoch: 5, holder: "b")
        #expect(code { try identity.meet(epoch: 4, holder: "a") } == .staleController)
        #expect(try open().epoch == 5)
        #expect(code { try open().meet(epoch: 4, holder: "a") } == .staleController)
    }

    @Test(arguments: [(T0State.open, T0State.rolledBack), (.rolledBack, .open)]) func theFirstDecisionHolds(
        first: T0State, second: T0State
    ) throws {
        let identity = try open()
        try identity.begin(attempt: 1)
        #expect(identity.attempt?.t0 == .pending)
        #expect(try identity.decide(attempt: 1, as: first) == first)
        #expect(try identity.decide(attempt: 1, as: second) == first)
        #expect(try open().decide(attempt: 1, as: second) == first)
        // Beginning again what was decided changes nothing.
        try identity.begin(attempt: 1)
        #expect(try identity.decide(attempt: 1, as: second) == first)
    }

    @Test func anotherAttemptIsDecidedAnew() throws {
        let identity = try open()
        try identity.begin(attempt: 1)
        _ = try identity.decide(attempt: 1, as: .rolledBack)
        try identity.begin(attempt: 2)
        #expect(identity.attempt?.t0 == .pending)
        #expect(code { try identity.decide(attempt: 1, as: .open) } == .defect)
        #expect(try identity.decide(attempt: 2, as: .open) == .open)
        try identity.begin(attempt: 1)
        #expect(identity.attempt?.number == 2)
        #expect(identity.attempt?.t0 == .open)
    }

    @Test func withoutAnAttemptNothingIsDecided() throws {
        #expect(code { try open().decide(attempt: 1, as: .open) } == .defect)
    }

    @Test func ofManyAtOnceOneDecides() async throws {
        for round in 1...20 {
            let identity = try open()
            try identity.begin(attempt: round)
            let answers = try await withThrowingTaskGroup(of: T0State.self) { group in
                for index in 0..<16 {
                    group.addTask {
                        try identity.decide(attempt: round, as: index.isMultiple(of: 2) ? .open : .rolledBack)
                    }
                }
                return try await group.reduce(into: Set<T0State>()) { $0.insert($1) }
            }
            #expect(answers.count == 1)
        }
    }

    @Test func theEpochNeverFallsHoweverManyGreetAtOnce() throws {
        let identity = try open()
        for round in 0..<20 {
            DispatchQueue.concurrentPerform(iterations: 16) { index in
                try? identity.meet(epoch: round * 16 + (index * 7) % 16, holder: "x")
            }
            #expect(identity.epoch == round * 16 + 15)
        }
    }

    @Test func secretsAreOpenedOnlyHereAndForgotten() throws {
        let identity = try open()
        let secrets = try AgentSecrets(path: "\(folder.path)/secrets.json", identity: identity)
        let sealed = Hex.encode(
            try SealingKeyPair.seal(Array("canary-81f".utf8), to: Hex.decode(identity.sealingPublic) ?? []))
        try secrets.put([SealedSecret(name: "a", sealed: sealed), SealedSecret(name: "b", sealed: sealed)], tag: "t1")
        #expect(identity.secretsTag == "t1")
        #expect(try secrets.resolve("a").reveal() == "canary-81f")
        let file = String(decoding: try DurableFile.read("\(folder.path)/secrets.json") ?? [], as: UTF8.self)
        #expect(file.contains(sealed) && !file.contains("canary-81f"))
        try secrets.forget(["a"])
        #expect(code { try secrets.resolve("a") } == .secretMissing)
        let later = try AgentSecrets(path: "\(folder.path)/secrets.json", identity: identity)
        #expect(code { try later.resolve("a") } == .secretMissing)
        #expect(try later.resolve("b").reveal() == "canary-81f")
    }

    @Test func secretsThatDoNotOpenHereAreRefusedWhole() throws {
        let identity = try open()
        let secrets = try AgentSecrets(path: "\(folder.path)/secrets.json", identity: identity)
        let good = Hex.encode(try SealingKeyPair.seal([1], to: Hex.decode(identity.sealingPublic) ?? []))
        let foreign = Hex.encode(try SealingKeyPair.seal([1], to: try SealingKeyPair().publicKey))
        #expect(
            code {
                try secrets.put(
                    [SealedSecret(name: "a", sealed: good), SealedSecret(name: "b", sealed: foreign)], tag: "t")
            } == .cannotDecrypt)
        #expect(code { try secrets.put([SealedSecret(name: "a", sealed: "zz")], tag: "t") } == .protocolViolation)
        #expect(code { try secrets.resolve("a") } == .secretMissing)
        #expect(identity.secretsTag == nil)
    }
}
