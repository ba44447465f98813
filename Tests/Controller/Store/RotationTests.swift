import BasculeCrypto
import BasculeModel
import Testing

@testable import BasculeStore

/// The store's side of a key rotation: after each of its transactions it knows what the nodes may know.
@Suite struct RotationTests {
    let folder: StoreFolder
    init() throws { folder = try StoreFolder() }

    private func begun() throws -> (Store, FleetKeys) {
        let store = try folder.open()
        try store.setSecret("bascule.fleet-key", Secret("one"), origin: "generated")
        try store.set("fleet-key.public", to: "ssh-ed25519 one")
        let keys = FleetKeys(secret: Secret("two"), publicLine: "ssh-ed25519 two", signing: try SigningKeyPair())
        try store.beginRotation(keys)
        return (store, keys)
    }

    @Test func theFormerKeysHoldUntilTheNewOnesArePromoted() throws {
        let (store, keys) = try begun()
        let pending = try #require(try store.pendingKeys())
        #expect(pending.secret.reveal() == "two" && pending.signing.secretKey == keys.signing.secretKey)
        #expect(try store.secret("bascule.fleet-key")?.reveal() == "one")
        for state in [RotationState.announced, .confirmed, .done] {
            try store.note(state, of: "a")
            #expect(try store.rotationState(of: "a") == state && store.rotationState(of: "b") == nil)
        }
        try store.promote()
        #expect(try store.pendingKeys() == nil && store.rotationState(of: "a") == nil)
        #expect(try store.secret("bascule.fleet-key")?.reveal() == "two")
        #expect(try store.setting("fleet-key.public") == "ssh-ed25519 two")
        #expect(try store.secret("bascule.signing-key")?.reveal() == Hex.encode(keys.signing.secretKey))
        #expect(try store.formerFleetKeys().map { $0.reveal() } == ["one"])
        try store.promote()
        #expect(try store.secret("bascule.fleet-key")?.reveal() == "two", "a second time changes nothing")
    }

    @Test func aNodesNextSealingKeyIsPinnedBesideTheFormerAndThenAlone() throws {
        let (store, _) = try begun()
        var node = NodeRecord(name: "a")
        (node.machine, node.sealingKey) = ("m", "01")
        try store.save(node)
        try store.pin(nextSealingKey: "02", of: "a")
        #expect(try store.node("a").sealingKey == "01" && store.nextSealingKey(of: "a") == "02")
        try store.finishSealing("02", of: "a")
        #expect(try store.node("a").sealingKey == "02" && store.nextSealingKey(of: "a") == nil)
        #expect(try store.rotationState(of: "a") == .done)
        try store.pin(nextSealingKey: "03", of: "a")
        try store.forget("a")
        #expect(try store.nextSealingKey(of: "a") == nil && store.rotationState(of: "a") == nil)
    }

    @Test func anAdoptionEndsARotation() throws {
        let (store, _) = try begun()
        try store.note(.confirmed, of: "a")
        try store.adopt(
            epoch: 2, fleetKey: (Secret("three"), "ssh-ed25519 three"), signingKey: try SigningKeyPair())
        #expect(try store.pendingKeys() == nil && store.rotationState(of: "a") == nil)
    }
}
