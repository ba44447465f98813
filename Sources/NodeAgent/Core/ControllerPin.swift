import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc

/// The controller that this node obeys, pinned by root: at the bootstrap, or when another workstation adopts the fleet.
struct ControllerPin: Codable, Equatable {
    /// A key that was replaced: what it signed before is still good, what it signs now is not.
    struct Former: Codable, Equatable {
        var key: String
        /// The last epoch that was its own.
        var epoch: Int
    }

    /// Ed25519, hexadecimal.
    var key: String
    var epoch: Int
    var former: [Former] = []
    /// Keys that a rotation announced and that nobody has proved yet.
    struct Pending: Codable, Equatable {
        var key: String
        var fleetKey: String
    }
    var pending: Pending?
    /// The SSH key that goes with `key`, `type base64`, where a rotation brought it; nil where root's installation did.
    var fleetKey: String?

    static func load(_ paths: AgentPaths) throws -> ControllerPin? {
        try DurableFile.load(ControllerPin.self, from: paths.controller)
    }

    /// What root installs ends a rotation that is under way, and is what the node goes by.
    static func endRotation(paths: AgentPaths) throws {
        guard var pin = try load(paths), pin.pending != nil || pin.fleetKey != nil else { return }
        (pin.pending, pin.fleetKey) = (nil, nil)
        try DurableFile.save(pin, to: paths.controller)
    }

    /// Pins a key. Only an adoption, which raises the epoch, replaces another controller's.
    /// - Parameter seen: the highest epoch that the node knows from requests.
    @discardableResult
    static func pin(key: String, epoch: Int, seen: Int, paths: AgentPaths) throws -> PinOutcome {
        guard Hex.decode(key)?.count == 32, epoch > 0 else {
            throw BasculeError(.invalidInput, "this is not a controller's key and epoch")
        }
        let known = try load(paths)
        let highest = max(known?.epoch ?? 0, seen)
        guard epoch >= highest else { throw BasculeError.stale(epoch: epoch, known: highest) }
        guard let known else {
            try DurableFile.save(ControllerPin(key: key, epoch: epoch), to: paths.controller)
            return .pinned
        }
        if known.key == key {
            guard epoch != known.epoch else { return .kept }
            var raised = known
            raised.epoch = epoch
            try DurableFile.save(raised, to: paths.controller)
            return .replaced
        }
        guard epoch > highest else {
            throw BasculeError(
                .staleController, "this node obeys another controller, of epoch \(known.epoch)",
                hint:
                    "to take its fleet over: bascule adopt; to make it a new fleet's, first as root on the node: bascule-agent uninstall"
            )
        }
        let former = (known.former + [Former(key: known.key, epoch: highest)]).suffix(8)
        try DurableFile.save(ControllerPin(key: key, epoch: epoch, former: Array(former)), to: paths.controller)
        return .replaced
    }
}
