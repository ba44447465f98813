import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

/// A node's side of a key rotation: what it accepts when, and what is left of it wherever it is killed.
@Suite struct RotationTests {
    let folder: Folder
    let paths: AgentPaths
    let old: Signer
    let new: Signer
    let oldKey = "ssh-ed25519 AAAAold"
    let keys: RotationKeys

    init() throws {
        folder = try Folder()
        paths = AgentPaths(state: "\(folder.path)/state", runtime: "\(folder.path)/run")
        (old, new) = (try Signer(), try Signer())
        keys = RotationKeys(fleetKey: "ssh-ed25519 AAAAnew", controllerKey: new.key)
        try old.pin(at: folder)
        try AuthorizedKeys.settle(current: oldKey, pending: nil, at: paths.authorizedKeys)
    }

    /// The agent, started again with what is on its disk.
    private func started(isPendingLogin: Bool = true) throws -> (trust: ControllerTrust, identity: AgentIdentity) {
        let identity = try AgentIdentity(path: paths.identity)
        let trust = try ControllerTrust(paths: paths, identity: identity, isPendingLogin: { _ in isPendingLogin })
        try trust.settle()
        return (trust, identity)
    }

    private func signed(_ word: KeyRotation, _ signer: Signer, _ identity: AgentIdentity) throws -> SignedRequest {
        try signer.signed(.rotate(word), machine: identity.machine, nonce: "n")
    }

    /// What sshd does with a key: the words after the program in its forced command (`exec PROGRAM WORDS`); nil where it
    /// is not let in.
    private func door(_ word: String) throws -> String? {
        let text = String(decoding: try DurableFile.read(paths.authorizedKeys) ?? [], as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.contains(" \(word) ") }
        return line?.split(separator: "\"").dropFirst().first.map {
            $0.split(separator: " ").dropFirst(2).joined(separator: " ")
        }
    }

    private func announce() throws {
        let (trust, identity) = try started()
        try trust.announce(keys, signed: try signed(.announce(keys), old, identity))
    }

    private func confirm() throws {
        let (trust, identity) = try started()
        try trust.confirm(keys, signed: try signed(.confirm(keys), new, identity), peer: 1)
    }

    /// Whether a request of this signer is obeyed.
    private func obeys(_ signer: Signer) throws -> Bool {
        let (trust, identity) = try started()
        let request = try signer.signed(.leave, machine: identity.machine, nonce: "n")
        return code { try trust.verify(request) } == nil
    }

    /// Whatever the moment of the kill, one of the keys gets in and is obeyed; the same words again bring it to its end.
    @Test(arguments: ["nothing", "announce-pin", "announce", "confirm-pin", "confirm"]) func killedAt(_ moment: String)
        throws
    {
        let kept = try #require(try DurableFile.read(paths.authorizedKeys))
        if moment != "nothing" { try announce() }
        // The pin was written, the file of sshd was not.
        if moment == "announce-pin" { try DurableFile.write(kept, to: paths.authorizedKeys) }
        if moment.hasPrefix("confirm") {
            let before = try #require(try DurableFile.read(paths.authorizedKeys))
            try confirm()
            if moment == "confirm-pin" { try DurableFile.write(before, to: paths.authorizedKeys) }
        }
        _ = try started()
        let isConfirmed = moment.hasPrefix("confirm")
        #expect(try obeys(old) == !isConfirmed)
        #expect(try door("AAAAold") == (isConfirmed ? "refuse" : "connect"))
        #expect(try obeys(new) == (moment != "nothing"))
        #expect(
            try door("AAAAnew") == (isConfirmed ? "connect" : moment == "nothing" ? nil : "connect pending"))
        if !isConfirmed { try announce() }
        try confirm()
        #expect(try !obeys(old) && obeys(new))
        #expect(try door("AAAAold") == "refuse" && door("AAAAnew") == "connect")
    }

    @Test func nothingIsAnnouncedOrConfirmedByTheWrongHand() throws {
        let (trust, identity) = try started()
        #expect(code { try trust.announce(keys, signed: try signed(.announce(keys), new, identity)) } == .badSignature)
        #expect(code { try trust.announce(keys, signed: nil) } == .badSignature)
        #expect(
            code { try trust.confirm(keys, signed: try signed(.confirm(keys), new, identity), peer: 1) }
                == .nothingToConfirm)
        try announce()
        #expect(code { try confirmed(by: old) } == .badSignature)
        #expect(code { try confirmed(by: new, isPendingLogin: false) } == .loginNotFresh)
        #expect(try obeys(old) && door("AAAAold") == "connect", "nothing was dropped")
        for bad in ["", "ssh-ed25519", "ssh-ed25519 A\" B", "ssh-rsa AAAA", "ssh-ed25519 AA\nssh-rsa"] {
            let keys = RotationKeys(fleetKey: bad, controllerKey: new.key)
            #expect(
                code { try trust.announce(keys, signed: try signed(.announce(keys), old, identity)) } == .invalidInput)
        }
    }

    private func confirmed(by signer: Signer, isPendingLogin: Bool = true) throws {
        let (trust, identity) = try started(isPendingLogin: isPendingLogin)
        try trust.confirm(keys, signed: try signed(.confirm(keys), signer, identity), peer: 1)
    }

    @Test func whatTheFormerKeySignedBeforeStaysGoodAndNothingAfter() throws {
        let (trust, identity) = try started()
        let segment = Segment(
            id: "s", plan: "p", run: "r", node: "n", epoch: 1, serial: 1, steps: [], onFailure: .skipDependents,
            lease: nil)
        try DurableFile.makeDirectory(paths.signed)
        try trust.keep(try old.signed(.submit(segment), machine: identity.machine, nonce: "n"), of: "s")
        try announce()
        try confirm()
        let later = try started().trust
        #expect(try later.segment("s") == segment)
        let request = try old.signed(.leave, machine: identity.machine, nonce: "n")
        #expect(code { try later.verify(request) } == .staleController)
        #expect(
            code { try later.announce(RotationKeys(fleetKey: "ssh-ed25519 A", controllerKey: old.key), signed: nil) }
                == .badSignature)
    }

    /// The sealing key: at every moment each secret opens, and after the end the former pair is gone.
    @Test(arguments: ["prepared", "adopted", "sealed", "done"]) func secretsOpenWhereverItIsKilled(_ moment: String)
        throws
    {
        let identity = try AgentIdentity(path: paths.identity)
        let former = identity.sealing
        let secrets = try AgentSecrets(path: paths.secrets, identity: identity)
        let sealed = try SealingKeyPair.seal(Array("canary".utf8), to: former.publicKey)
        try secrets.put([SealedSecret(name: "shop", sealed: Hex.encode(sealed))], tag: "t")
        let key = try identity.prepareSealing()
        #expect(try identity.prepareSealing() == key && identity.sealingPublic != key)
        #expect(code { try identity.adoptSealing(String(repeating: "0", count: 64)) } == .nothingToConfirm)
        if moment != "prepared" { try identity.adoptSealing(key) }
        let half = try DurableFile.read(paths.identity)
        if ["sealed", "done"].contains(moment) { try secrets.sealAnew() }
        // The secrets were written, and the agent was killed before it dropped the former pair.
        if moment == "sealed", let half { try DurableFile.write(half, to: paths.identity) }

        let later = try AgentIdentity(path: paths.identity)
        let open = try AgentSecrets(path: paths.secrets, identity: later)
        #expect(try open.resolve("shop").reveal() == "canary")
        try later.adoptSealing(key)
        try open.sealAnew()
        #expect(try open.resolve("shop").reveal() == "canary")
        #expect(later.sealingPublic == key && !later.hasFormerSealing)
        #expect(code { try former.open(Hex.decode(String(decoding: sealedText(), as: UTF8.self)) ?? []) } != nil)
    }

    private func sealedText() throws -> [UInt8] {
        let known = try DurableFile.load([SealedSecret].self, from: paths.secrets) ?? []
        return Array((known.first?.sealed ?? "").utf8)
    }
}
