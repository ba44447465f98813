import BasculeModel

/// The public halves of the keys that a controller changes to.
package struct RotationKeys: Hashable, Codable, Sendable {
    /// What logs in: `type base64`.
    package var fleetKey: String
    /// What signs: Ed25519, hexadecimal.
    package var controllerKey: String

    package init(fleetKey: String, controllerKey: String) {
        (self.fleetKey, self.controllerKey) = (fleetKey, controllerKey)
    }
}

/// The words of a key rotation. Each may be said again: what was done already is not done twice.
package enum KeyRotation: Hashable, Codable, Sendable {
    /// New keys, signed by those that hold; from then on the node accepts both.
    case announce(RotationKeys)
    /// Signed by the new key, over a login with the new key: the node drops the old ones.
    case confirm(RotationKeys)
    /// Has the node make its next sealing key; the answer is its public half.
    case prepareSealing
    /// The controller has pinned the node's next sealing key (hexadecimal): it is the node's from now on.
    case adoptSealing(String)
}
