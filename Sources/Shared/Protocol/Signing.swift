import BasculeModel
import FoundationEssentials

extension ErrorCode {
    /// A request is not signed, or not by the controller whose key this node pins.
    package static let badSignature: ErrorCode = "bad-signature"
    /// A controller whose lease was taken over.
    package static let staleController: ErrorCode = "stale-controller"
    /// The controller's counter is behind what the node has seen: its store is an old copy.
    package static let staleSerial: ErrorCode = "stale-serial"
    /// A request was signed for another machine.
    package static let wrongMachine: ErrorCode = "wrong-machine"
    /// A signed request came a second time, or was made for another connection.
    package static let replayed: ErrorCode = "replayed"
    /// An answer is not the one that the greeted agent gave on this connection.
    package static let forgedReply: ErrorCode = "forged-reply"
}

/// What a controller's signature covers beside the request's own bytes.
package struct SignedHead: Hashable, Codable, Sendable {
    /// The identity of the machine that is meant.
    package var machine: String
    /// The controller's fencing epoch.
    package var epoch: Int
    /// Taken from the controller's store once for each connection that changes something; grows for ever.
    package var serial: Int
    /// The agent's challenge, from its welcome on this connection.
    package var nonce: String
    /// Counts the signed requests of this connection from 1.
    package var counter: Int

    package init(machine: String, epoch: Int, serial: Int, nonce: String, counter: Int) {
        (self.machine, self.epoch, self.serial, self.nonce, self.counter) = (machine, epoch, serial, nonce, counter)
    }
}

/// A request with its signature, as it travels in a frame of kind `signed` and as a node keeps it: 64 bytes of
/// signature (Ed25519), the head's length (2 bytes, big endian), the head as JSON, the request as JSON.
package struct SignedRequest: Hashable, Sendable {
    package let head: SignedHead
    /// The request's exact bytes: what was signed is what is decoded.
    package let body: [UInt8]
    package let signature: [UInt8]
    private let rest: [UInt8]

    private static let signatureSize = 64
    /// Keeps a signature over anything else from being taken for one over a request.
    private static let context = Array("bascule request 1\n".utf8)

    /// Signs a request; `sign` gives the 64 bytes over what it is handed.
    package init(_ head: SignedHead, _ request: Request, sign: ([UInt8]) -> [UInt8]) throws {
        let headBytes = try Wire.encode(head)
        guard headBytes.count <= 0xFFFF else { throw BasculeError(.protocolViolation, "a signed head is too long") }
        (self.head, body) = (head, try Wire.encode(request))
        rest = [UInt8(headBytes.count >> 8), UInt8(headBytes.count & 0xFF)] + headBytes + body
        signature = sign(SignedRequest.context + rest)
    }

    /// Reads what `encoded` gave. Says nothing about who signed it. Throws `protocol-violation`.
    package init(parsing bytes: [UInt8]) throws {
        let start = SignedRequest.signatureSize + 2
        guard bytes.count > start else { throw BasculeError(.protocolViolation, "a signed request is cut") }
        let length = Int(bytes[start - 2]) << 8 | Int(bytes[start - 1])
        guard bytes.count > start + length else { throw BasculeError(.protocolViolation, "a signed request is cut") }
        head = try Wire.decode(SignedHead.self, from: Array(bytes[start..<(start + length)]))
        body = Array(bytes[(start + length)...])
        signature = Array(bytes[..<SignedRequest.signatureSize])
        rest = Array(bytes[SignedRequest.signatureSize...])
    }

    /// What the signature is over.
    package var signedBytes: [UInt8] { SignedRequest.context + rest }
    /// The frame's body.
    package var encoded: [UInt8] { signature + rest }
}

/// Which numbers of a counter were seen: each passes once, also a little out of order.
package struct ReplayWindow: Sendable {
    private var highest = 0
    /// Bit n stands for `highest - n`.
    private var seen: UInt64 = 0

    package init() {}

    /// Whether the number is new. Numbers start at 1; those more than 63 behind the highest are taken for seen.
    package mutating func admit(_ number: Int) -> Bool {
        guard number > 0 else { return false }
        if number > highest {
            let shift = number - highest
            seen = shift > 63 ? 1 : seen << UInt64(shift) | 1
            highest = number
            return true
        }
        let behind = highest - number
        guard behind < 64, seen & (1 << UInt64(behind)) == 0 else { return false }
        seen |= 1 << UInt64(behind)
        return true
    }
}

extension Request {
    /// Whether it changes anything on the node: such a request must be signed by the controller.
    package var isMutating: Bool {
        switch self {
        case .hello, .facts, .observe, .missingBlobs, .attach, .status, .journal, .snapshots, .backups, .outbox,
            .program, .errors, .measure, .askBackup:
            false
        case .putBlob, .putSecrets, .submit, .command, .restore, .edge, .publicKey, .upgrade, .keepBackup, .leave,
            .manifest, .hold, .release, .confirm, .keepProgram, .admitToken, .revokeToken, .rotate,
            .testAlert, .comparePooling:
            true
        }
    }
}

extension Welcome {
    /// What the proof of a welcome is over: all that a controller decides by.
    package var transcript: [UInt8] {
        Array(
            "\(version)\n\(machine)\n\(epoch)\n\(serial)\n\(nonce)\n\(secretsTag ?? "")\n\(t0?.rawValue ?? "")\n\(manifest?.rawValue ?? "")\n"
                .utf8)
    }
}

/// What a node tells root of its standing with controllers: `bascule-agent identity`.
package struct NodeStanding: Hashable, Codable, Sendable {
    package var machine: String
    /// The highest epoch that it has seen; 0 where it never had a controller.
    package var epoch: Int
    /// The highest serial that it has seen.
    package var serial: Int

    package init(machine: String, epoch: Int, serial: Int) {
        (self.machine, self.epoch, self.serial) = (machine, epoch, serial)
    }
}

/// What an installation did to the controller's pin: the one word that `bascule-agent install` prints.
package enum PinOutcome: String, Sendable {
    /// There was none.
    case pinned
    /// Another one's, or a lower epoch, was replaced.
    case replaced
    case kept
}
