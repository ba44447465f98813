import BasculeCrypto
import BasculeModel
import BasculeProtocol

/// What the agent says to a controller that greets it.
struct AgentGreeting {
    let services: AgentServices
    let trust: ConnectionTrust

    /// The welcome, and what binds the following answers to it where the controller asked for that.
    func answer(_ hello: Hello) throws -> (Welcome, LinkBinding?) {
        guard
            let version = hello.versions.filter({ $0 >= ProtocolVersion.oldest && $0 <= ProtocolVersion.current }).max()
        else {
            throw BasculeError(
                .protocolVersion,
                "the controller speaks versions \(hello.versions) of the protocol, this agent \(ProtocolVersion.oldest) to \(ProtocolVersion.current)",
                hint: "bring the agent to the controller's version: bascule node bootstrap NAME --yes")
        }
        let identity = services.identity
        if trust.door == .root {
            try identity.meet(epoch: hello.epoch, holder: hello.holder)
        } else {
            try services.trust.greet(epoch: hello.epoch)
        }
        let floor = identity.serial
        trust.greeted(floor: floor)
        var welcome = Welcome(
            version: version, product: ProtocolVersion.product, machine: identity.machine,
            architecture: Install.architecture,
            sealingKey: identity.sealingPublic, capabilities: ["segments", "blobs", "edge", "data"],
            secretsTag: identity.secretsTag,
            epoch: identity.epoch, migrationAttempt: identity.attempt?.number ?? 0, t0: identity.attempt?.t0,
            nonce: trust.nonce, serial: floor, manifest: services.healing.manifest, clock: WallClock.now(),
            lastEvent: services.healing.outbox.last)
        guard let key = hello.key else { return (welcome, nil) }
        let binding = try LinkBinding(
            own: identity.sealing, peer: Hex.decode(key) ?? [], transcript: welcome.transcript)
        welcome.proof = binding.proof
        return (welcome, binding)
    }
}
