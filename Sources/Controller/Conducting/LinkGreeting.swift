import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeStore

/// Signs what a controller asks of its agents.
struct RequestSigner: Sendable {
    let keys: SigningKeyPair
    let epoch: Int
    /// Takes the node's next serial from the store; given is the highest that the node has seen.
    let serial: @Sendable (_ seen: Int) throws -> Int
}

/// One connection's greeting and what follows from it: who answers, what binds the answers, how requests are signed.
package struct LinkGreeting: Sendable {
    package let hello: Hello
    /// What the agent said, once it has proved who it is.
    private(set) var welcome: Welcome?

    private let node: NodeName
    private let pair: SealingKeyPair
    private let signer: RequestSigner
    private let machine: String?
    private let sealingKeys: [String]
    private var binding: LinkBinding?
    private var serial: Int?
    private var counter = 0

    /// - Parameters:
    ///   - machine, sealingKeys: what is pinned of the node, two keys while one is exchanged; nothing at the first
    ///     contact.
    init(node: NodeName, holder: String, machine: String?, sealingKeys: [String], signer: RequestSigner) throws {
        (self.node, self.machine, self.sealingKeys, self.signer) = (node, machine, sealingKeys, signer)
        pair = try SealingKeyPair()
        hello = Hello(
            versions: Array(ProtocolVersion.oldest...ProtocolVersion.current), product: ProtocolVersion.product,
            epoch: signer.epoch, holder: holder, key: Hex.encode(pair.publicKey))
    }

    var isBound: Bool { binding != nil }

    /// Takes the answer to the greeting. Throws the agent's refusal, `other-machine` where the pinned node is not who
    /// answers, `forged-reply` where it cannot show it.
    mutating func meet(_ frame: Frame) throws -> Welcome {
        guard frame.kind == .reply, frame.id == 0 else {
            throw BasculeError(.forgedReply, "the agent answered before it was greeted")
        }
        switch try Reply.decoded(from: frame.body) {
        case .refused(let error): throw error
        case .welcome(let welcome):
            guard machine == nil || machine == welcome.machine,
                sealingKeys.isEmpty || sealingKeys.contains(welcome.sealingKey)
            else {
                throw BasculeError(
                    .otherMachine, "another machine answers at the node's address: its identity is not the pinned one",
                    hint:
                        "if the machine was replaced on purpose: bascule node forget \(node), then bascule node bootstrap \(node)"
                )
            }
            guard let key = Hex.decode(welcome.sealingKey) else {
                throw BasculeError(.protocolViolation, "the agent's key is not hexadecimal")
            }
            let binding = try LinkBinding(own: pair, peer: key, transcript: welcome.transcript)
            guard let proof = welcome.proof, binding.accepts(proof: proof) else {
                throw BasculeError(
                    .forgedReply, "the agent could not prove that it holds the node's key, or repeated an old answer")
            }
            (self.binding, self.welcome) = (binding, welcome)
            return welcome
        default: throw BasculeError(.protocolViolation, "the agent did not answer the greeting")
        }
    }

    /// The body of an answer without its tag. Throws `forged-reply` where it is not this connection's next one.
    mutating func open(_ frame: Frame) throws -> [UInt8] {
        guard let body = binding?.open(head: frame.head, body: frame.body) else {
            throw BasculeError(.forgedReply, "an answer does not belong to this connection, or came a second time")
        }
        return body
    }

    /// Signs a request for the greeted agent. The first one takes a serial from the store.
    mutating func sign(_ request: Request) throws -> SignedRequest {
        guard let welcome else { throw BasculeError(.defect, "a request is signed before the greeting is answered") }
        let serial = try serial ?? signer.serial(welcome.serial)
        self.serial = serial
        counter += 1
        let head = SignedHead(
            machine: welcome.machine, epoch: signer.epoch, serial: serial, nonce: welcome.nonce, counter: counter)
        return try SignedRequest(head, request) { signer.keys.sign($0) }
    }
}
