import BasculeModel

extension ErrorCode {
    /// The peers speak no common version.
    package static let protocolVersion: ErrorCode = "protocol-version"
    /// The peer does not know this kind of request.
    package static let unknownRequest: ErrorCode = "unknown-request"
}

/// What a frame carries.
package enum FrameKind: UInt8, Sendable {
    /// JSON: `Request`.
    case request = 1
    /// JSON: `Reply`; the last frame of its request.
    case reply = 2
    /// JSON: `Event`; any number before the reply.
    case event = 3
    /// Bytes of an upload that belong to the request of this id; empty ends it.
    case chunk = 4
    /// No body: the peer should stop working on this request.
    case cancel = 5
    /// `SignedRequest`.
    case signed = 6
}

/// One frame: length of what follows (4 bytes, big endian), kind (1 byte), request id (4 bytes), body.
package struct Frame: Sendable, Equatable {
    package var kind: FrameKind
    package var id: UInt32
    package var body: [UInt8]

    package init(_ kind: FrameKind, id: UInt32, body: [UInt8]) { (self.kind, self.id, self.body) = (kind, id, body) }

    /// Bytes of kind and id.
    static let headSize = 5
    /// The largest body that is sent or accepted: 16 MiB.
    package static let maximumBody = 16 << 20

    /// Kind and id as bytes: what a tag covers beside the body.
    package var head: [UInt8] {
        [kind.rawValue] + stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: id >> UInt32($0)) }
    }

    /// The frame as bytes. Throws `protocol-violation` for a body over the limit.
    package func encoded() throws -> [UInt8] {
        guard body.count <= Frame.maximumBody else {
            throw BasculeError(
                .protocolViolation, "a frame of \(body.count) bytes is over the limit of \(Frame.maximumBody)")
        }
        var out: [UInt8] = []
        out.reserveCapacity(4 + Frame.headSize + body.count)
        for shift in stride(from: 24, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: (body.count + Frame.headSize) >> shift))
        }
        out.append(kind.rawValue)
        for shift in stride(from: 24, through: 0, by: -8) { out.append(UInt8(truncatingIfNeeded: id >> UInt32(shift))) }
        out.append(contentsOf: body)
        return out
    }
}

/// Cuts a stream of bytes into frames. Pure: feed it, take frames out.
package struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0

    package init() {}

    /// Adds bytes as they arrived, however they were cut.
    package mutating func feed(_ bytes: some Collection<UInt8>) {
        if start > 1 << 16 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole frame, nil where more bytes are needed. Throws `protocol-violation`; the stream is lost then.
    package mutating func next() throws -> Frame? {
        guard buffer.count - start >= 4 else { return nil }
        var length = 0
        for index in 0..<4 { length = length << 8 | Int(buffer[start + index]) }
        guard length >= Frame.headSize, length <= Frame.headSize + Frame.maximumBody else {
            throw BasculeError(
                .protocolViolation, "the peer announced a frame of \(length) bytes",
                hint: "is this really a Bascule agent?")
        }
        guard buffer.count - start >= 4 + length else { return nil }
        guard let kind = FrameKind(rawValue: buffer[start + 4]) else {
            throw BasculeError(.protocolViolation, "the peer sent a frame of unknown kind \(buffer[start + 4])")
        }
        var id: UInt32 = 0
        for index in 5..<9 { id = id << 8 | UInt32(buffer[start + index]) }
        let frame = Frame(kind, id: id, body: Array(buffer[(start + 9)..<(start + 4 + length)]))
        start += 4 + length
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.count < 1 << 20)
            start = 0
        }
        return frame
    }
}
