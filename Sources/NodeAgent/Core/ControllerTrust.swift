import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization

/// Decides which requests are the controller's: its signature, for this machine, of no older epoch, never seen before.
package final class ControllerTrust: Sendable {
    private let identity: AgentIdentity
    private let pinned: Mutex<ControllerPin?>
    let paths: AgentPaths
    private var signed: String { paths.signed }
    /// Whether the process at the other end was let in by the key of a rotation.
    private let isPendingLogin: @Sendable (pid_t) -> Bool
    /// Serials that a connection has made its own. Older ones are behind the floor of every connection.
    private let claimed = Mutex<Set<Int>>([])

    package init(
        paths: AgentPaths, identity: AgentIdentity,
        isPendingLogin: @escaping @Sendable (pid_t) -> Bool = PendingLogin.holds
    ) throws {
        (self.identity, self.paths, self.isPendingLogin) = (identity, paths, isPendingLogin)
        let known = try ControllerPin.load(paths)
        pinned = Mutex(known)
        if let pin = known, pin.epoch > identity.epoch { try identity.meet(epoch: pin.epoch, holder: "root") }
    }

    var pin: ControllerPin? { pinned.withLock { $0 } }

    /// Whether a controller is pinned. One that is not was never installed: a test's.
    var isPinned: Bool { pin != nil }

    /// Refuses the greeting of a controller that was taken over. A greeting is not signed, so it raises nothing.
    func greet(epoch: Int) throws {
        guard epoch >= identity.epoch else { throw BasculeError.stale(epoch: epoch, known: identity.epoch) }
    }

    /// Throws where a request is not the pinned controller's, or not for this machine, or of a lower epoch.
    func verify(_ request: SignedRequest) throws {
        let head = request.head
        guard let pin else {
            throw BasculeError(
                .badSignature, "this node pins no controller's key", hint: "bascule node bootstrap NAME --yes")
        }
        guard pin.accepted.contains(where: { Self.isSigned(request, by: $0) }) else {
            if pin.former.contains(where: { Self.isSigned(request, by: $0.key) }) {
                guard head.epoch < identity.epoch else { throw BasculeError.replacedKey }
                throw BasculeError.stale(epoch: head.epoch, known: identity.epoch)
            }
            throw BasculeError(
                .badSignature, "the request is not signed by the controller that this node obeys",
                hint: "is this the store that bootstrapped the node? To take the fleet over: bascule adopt")
        }
        guard head.machine == identity.machine else {
            throw BasculeError(
                .wrongMachine,
                "the request was signed for machine \(head.machine.prefix(12).asciiPrintable), not for this one",
                hint: "was the machine replaced? bascule node forget NAME, then bascule node bootstrap NAME")
        }
        try identity.meet(epoch: head.epoch, holder: "")
    }

    /// Makes a serial one connection's own; `floor` is the highest that was seen when the connection was greeted.
    func claim(serial: Int, above floor: Int) throws {
        guard serial > floor else { throw BasculeError.stale(serial: serial, known: floor) }
        try claimed.withLock { claimed in
            guard claimed.insert(serial).inserted else {
                throw BasculeError(.replayed, "another connection has used the serial \(serial)")
            }
            if claimed.count > 1024, let least = claimed.min() { claimed.remove(least) }
            try identity.note(serial: serial)
        }
    }

    private static func isSigned(_ request: SignedRequest, by key: String) -> Bool {
        SigningKeyPair.verify(request.signature, of: request.signedBytes, by: Hex.decode(key) ?? [])
    }

    // MARK: - Rotating the controller's keys

    /// Takes a word of a rotation of the controller's keys. Throws where it is not signed by the key that it needs.
    func announce(_ keys: RotationKeys, signed request: SignedRequest?) throws {
        try keys.check()
        try change { pin in
            if pin.key == keys.controllerKey { return }
            guard let request, Self.isSigned(request, by: pin.key) else {
                throw BasculeError(.badSignature, "new keys are announced by the key that holds, and by no other")
            }
            guard !pin.former.contains(where: { $0.key == keys.controllerKey }) else {
                throw BasculeError(.invalidInput, "a key that was replaced does not come back")
            }
            pin.pending = ControllerPin.Pending(key: keys.controllerKey, fleetKey: keys.fleetKey)
        }
        Failpoint.hit("agent.rotate.announced")
        try settle()
    }

    /// Makes announced keys the only ones, where both have been proved: the login by the forced command that it ran, the
    /// signature by this request.
    func confirm(_ keys: RotationKeys, signed request: SignedRequest?, peer: pid_t?) throws {
        try change { pin in
            if pin.key == keys.controllerKey, pin.pending == nil { return }
            guard let pending = pin.pending, pending.key == keys.controllerKey, pending.fleetKey == keys.fleetKey else {
                throw BasculeError(.nothingToConfirm, "these are not the keys that were announced")
            }
            guard let request, Self.isSigned(request, by: pending.key) else {
                throw BasculeError(.badSignature, "new keys are confirmed by a request that the new key signed")
            }
            guard let peer, isPendingLogin(peer) else {
                throw BasculeError(.loginNotFresh, "only a login with the new key proves it")
            }
            pin.former.append(ControllerPin.Former(key: pin.key, epoch: max(pin.epoch, identity.epoch)))
            pin.former = pin.former.suffix(32)
            (pin.key, pin.fleetKey, pin.pending) = (pending.key, pending.fleetKey, nil)
        }
        Failpoint.hit("agent.rotate.confirmed")
        try settle()
    }

    /// Lets in over SSH whom the pin names. Called when the agent starts, too: it may have been killed in between.
    func settle() throws {
        guard let pin else { return }
        try AuthorizedKeys.settle(
            current: pin.fleetKey, pending: pin.pending?.fleetKey, at: paths.authorizedKeys)
    }

    private func change(_ body: (inout ControllerPin) throws -> Void) throws {
        try pinned.withLock { current in
            guard let known = current else { throw BasculeError(.badSignature, "this node pins no controller's key") }
            var copy = known
            try body(&copy)
            guard copy != known else { return }
            try DurableFile.save(copy, to: paths.controller)
            current = copy
        }
    }

    // MARK: - Segments at rest

    /// The end of the names of signed segments. An id ends with a node's name, which may be that of a leftover (`.new`).
    static let ending = ".signed"

    /// Where a segment lies as it was signed.
    func path(_ id: SegmentID) throws -> String {
        guard !id.rawValue.isEmpty, id.rawValue.utf8.count <= 200, !id.rawValue.contains("/"),
            !id.rawValue.hasPrefix(".")
        else { throw BasculeError(.invalidInput, "this is not a segment's id") }
        return "\(signed)/\(id.rawValue)\(Self.ending)"
    }

    /// Keeps a segment as it was signed, before it is journaled.
    func keep(_ request: SignedRequest, of id: SegmentID) throws {
        try DurableFile.write(request.encoded, to: try path(id), kind: "signed")
    }

    /// A segment as the controller signed it, verified again. Throws `bad-signature` where it was tampered with, or was
    /// never signed; signatures of a former controller count up to the epoch in which it was replaced.
    package func segment(_ id: SegmentID) throws -> Segment {
        guard let bytes = try DurableFile.read(try path(id)) else {
            throw BasculeError(.badSignature, "the signed segment \(id) is not there")
        }
        let request = try SignedRequest(parsing: bytes)
        guard isKnown(request),
            case .submit(let segment) = try Wire.decode(Request.self, from: request.body), segment.id == id
        else {
            throw BasculeError(
                .badSignature, "the segment \(id) is not as the controller signed it",
                hint: "somebody changed the agent's state on the node; bascule apply sends what is needed again")
        }
        return segment
    }

    /// Whether a kept request is the controller's, for this machine; a former key's counts up to its last epoch.
    func isKnown(_ request: SignedRequest) -> Bool {
        guard let pin, request.head.machine == identity.machine else { return false }
        return pin.accepted.contains { Self.isSigned(request, by: $0) }
            || pin.former.contains { $0.epoch >= request.head.epoch && Self.isSigned(request, by: $0.key) }
    }

    /// The segment that a journal's entry stands for; throws `bad-signature` where entry and signature differ.
    func verified(_ journaled: Segment) throws -> Segment {
        guard isPinned else { return journaled }
        let signed = try segment(journaled.id)
        guard signed == journaled else {
            throw BasculeError(
                .badSignature, "the journal's entry of segment \(journaled.id) is not what the controller signed",
                hint: "somebody changed the agent's state on the node; bascule apply sends what is needed again")
        }
        return signed
    }
}

extension ControllerPin {
    /// The keys whose requests are obeyed.
    var accepted: [String] { [key] + (pending.map { [$0.key] } ?? []) }
}

extension RotationKeys {
    func check() throws {
        let words = fleetKey.split(separator: " ", omittingEmptySubsequences: false)
        guard Hex.decode(controllerKey)?.count == 32, words.count == 2, words[0] == "ssh-ed25519",
            words[1].utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 34 })
        else { throw BasculeError(.invalidInput, "these are not a fleet's keys") }
    }
}

/// Which key a connection was let in by: sshd runs the forced command that stands beside it.
package enum PendingLogin {
    /// Whether the process is a bridge that the pending key's line started.
    package static func holds(_ peer: pid_t) -> Bool {
        let words = ((try? DurableFile.read("/proc/\(peer)/cmdline")) ?? nil)?.split(separator: 0) ?? []
        return words.suffix(2).map { String(decoding: $0, as: UTF8.self) } == ["connect", "pending"]
    }
}

extension BasculeError {
    static var replacedKey: BasculeError {
        BasculeError(
            .staleController, "the request is signed with a key that was replaced since",
            hint: "use the newest store: the fleet's keys were rotated")
    }

    static func stale(serial: Int, known: Int) -> BasculeError {
        BasculeError(
            .staleSerial, "this controller counts \(serial), and the node has seen \(known): its store is an old copy",
            hint: "use the newest store, or make this one the newest with root's login: bascule adopt")
    }
}

/// What one connection may ask, by where it comes from and what it has shown.
final class ConnectionTrust: Sendable {
    /// Where a connection comes in.
    enum Door: Sendable {
        /// root on the node itself.
        case root
        /// The agent's user: the bridge of the controller's forced command.
        case controller
        /// The old edge's forced command.
        case edge
    }

    private struct State {
        /// nil before the greeting.
        var floor: Int?
        var refusal: BasculeError?
        var serial: Int?
        var window = ReplayWindow()
    }

    let door: Door
    let nonce = Hex.encode(RandomBytes.make(16))
    private let trust: ControllerTrust
    private let state = Mutex(State())

    init(door: Door, trust: ControllerTrust) { (self.door, self.trust) = (door, trust) }

    /// Notes the greeting: `floor` is the highest serial seen so far.
    func greeted(floor: Int) { state.withLock { $0.floor = $0.floor ?? floor } }
    /// Notes that the greeting was refused: nothing else is answered on this connection.
    func refused(_ error: BasculeError) { state.withLock { $0.refusal = error } }

    /// Lets an unsigned request through, or throws.
    func admit(_ request: Request) throws {
        switch door {
        case .root: return
        case .edge:
            if case .edge = request { return }
            throw BasculeError(.badSignature, "only the edge's words are understood here")
        case .controller:
            if case .hello = request { return }
            try state.withLock { state in
                if let refusal = state.refusal { throw refusal }
                guard state.floor != nil else {
                    throw BasculeError(.badSignature, "nobody has greeted on this connection")
                }
            }
            guard !request.isMutating else {
                throw BasculeError(
                    .badSignature, "a request that changes something must be signed by the fleet's controller")
            }
        }
    }

    /// Verifies a signed request and gives what it asks. It passes once.
    func admit(_ signed: SignedRequest) throws -> Request {
        guard door != .edge else { throw BasculeError(.badSignature, "only the edge's words are understood here") }
        try trust.verify(signed)
        try state.withLock { state in
            if let refusal = state.refusal { throw refusal }
            guard let floor = state.floor, signed.head.nonce == nonce else {
                throw BasculeError(
                    .replayed, "the request was signed for another connection", hint: "run the same command again")
            }
            if let serial = state.serial {
                guard signed.head.serial == serial else {
                    throw BasculeError(.replayed, "a connection has one serial, this is another")
                }
            } else {
                try trust.claim(serial: signed.head.serial, above: floor)
                state.serial = signed.head.serial
            }
            guard state.window.admit(signed.head.counter) else {
                throw BasculeError(.replayed, "the request came a second time")
            }
        }
        return try Wire.decode(Request.self, from: signed.body)
    }
}

extension Substring {
    /// Without what a terminal would act on: the text comes from a stranger.
    var asciiPrintable: String { String(unicodeScalars.filter { $0.value > 32 && $0.value < 127 }.map(Character.init)) }
}
