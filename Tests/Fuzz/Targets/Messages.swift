import BasculeModel

@testable import BasculeProtocol

extension FuzzTarget {
    /// The agent's stream: cut into frames, and each frame's body read as what it says it is.
    static let frames = FuzzTarget(name: "frames") { bytes in
        var whole = FrameDecoder()
        whole.feed(bytes)
        var decoder = FrameDecoder()
        var expected = 0
        // The same frames must come out however the stream was cut.
        for piece in stride(from: 0, to: bytes.count, by: 7) {
            decoder.feed(bytes[piece..<min(bytes.count, piece + 7)])
            while let frame = try decoder.next() {
                try require(whole.next() == frame, "the cut of a stream changes its frames")
                expected += frame.body.count + 9
                try read(frame)
            }
        }
        require(expected <= bytes.count, "more came out than went in")
    }

    private static func read(_ frame: Frame) throws {
        switch frame.kind {
        case .request:
            let request = try Wire.decode(Request.self, from: frame.body)
            try again(request, Request.self)
        case .reply: try again(try Wire.decode(Reply.self, from: frame.body), Reply.self)
        case .event: try again(try Wire.decode(Event.self, from: frame.body), Event.self)
        case .signed:
            let signed = try SignedRequest(parsing: frame.body)
            require(signed.encoded == frame.body, "a signed request does not survive its own encoding")
            try again(try Wire.decode(Request.self, from: signed.body), Request.self)
        case .chunk, .cancel: break
        }
    }

    /// What could be read can be written, and reads the same again.
    private static func again<Value: Codable & Hashable>(_ value: Value, _ type: Value.Type) throws {
        let bytes = try Wire.encode(value)
        try require(Wire.decode(type, from: bytes) == value, "a message does not survive its own encoding")
    }

    /// A plan that came in a file.
    static let plan = FuzzTarget(name: "plan") { bytes in
        let plan = try Wire.decode(Plan.self, from: bytes)
        try again(plan, Plan.self)
    }
}
