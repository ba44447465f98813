import BasculeCrypto
import BasculeModel
import BasculeProtocol

@testable import BasculeAgentCore

/// A controller as an agent's other end: its keys, its epoch, and what it counts.
struct Signer {
    var keys: SigningKeyPair
    var epoch = 1
    var serial = 1

    init() throws { keys = try SigningKeyPair() }

    var key: String { Hex.encode(keys.publicKey) }

    /// Pins this controller at a node, as the installation does.
    func pin(at folder: Folder, seen: Int = 0) throws {
        try DurableFile.makeDirectory("\(folder.path)/state")
        try ControllerPin.pin(
            key: key, epoch: epoch, seen: seen,
            paths: AgentPaths(state: "\(folder.path)/state", runtime: "\(folder.path)/run"))
    }

    func signed(_ request: Request, machine: String, nonce: String, counter: Int = 1) throws -> SignedRequest {
        try SignedRequest(
            SignedHead(machine: machine, epoch: epoch, serial: serial, nonce: nonce, counter: counter), request
        ) { keys.sign($0) }
    }
}

extension Peer {
    /// Greets without a key, so that answers stay unbound, and gives the welcome.
    func greet(epoch: Int = 1, id: UInt32 = 1000) async throws -> Welcome {
        let reply = try await ask(.hello(Hello(versions: [1], product: "t", epoch: epoch, holder: "t")), id: id)
        guard case .welcome(let welcome) = reply else {
            if case .refused(let error) = reply { throw error }
            throw BasculeError(.protocolViolation, "no welcome")
        }
        return welcome
    }

    func ask(_ signed: SignedRequest, id: UInt32 = 1) async throws -> Reply {
        try send(try Frame(.signed, id: id, body: signed.encoded).encoded())
        return try await answer(to: id).reply
    }
}
