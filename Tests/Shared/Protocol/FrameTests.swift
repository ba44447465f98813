import BasculeModel
import Testing

@testable import BasculeProtocol

@Suite struct FrameTests {
    private let stream = [
        Frame(.request, id: 1, body: Array("{}".utf8)), Frame(.chunk, id: 0xFFFF_FFFF, body: []),
        Frame(.event, id: 258, body: [0, 10, 255, 0]),
        Frame(.cancel, id: 7, body: []), Frame(.reply, id: 0, body: Array(repeating: 0x41, count: 300)),
    ]

    private func decodeAll(_ decoder: inout FrameDecoder) throws -> [Frame] {
        var out: [Frame] = []
        while let frame = try decoder.next() { out.append(frame) }
        return out
    }

    @Test func goldenBytes() throws {
        #expect(
            try Frame(.request, id: 0x0102_0304, body: Array("{}".utf8)).encoded() == [
                0, 0, 0, 7, 1, 1, 2, 3, 4, 0x7B, 0x7D,
            ])
        #expect(try Frame(.cancel, id: 9, body: []).encoded() == [0, 0, 0, 5, 5, 0, 0, 0, 9])
        #expect(
            try Frame(.chunk, id: 1, body: Array(repeating: 7, count: 0x0102)).encoded().prefix(9) == [
                0, 0, 1, 7, 4, 0, 0, 0, 1,
            ])
        #expect(
            try Wire.frame(.reply, id: 2, Reply.accepted) == [0, 0, 0, 20, 2, 0, 0, 0, 2]
                + Array(#"{"accepted":{}}"#.utf8))
    }

    @Test func everyCutPositionGivesTheSameFrames() throws {
        let bytes = try stream.flatMap { try $0.encoded() }
        for cut in 0...bytes.count {
            var decoder = FrameDecoder()
            decoder.feed(bytes[..<cut])
            var frames = try decodeAll(&decoder)
            decoder.feed(bytes[cut...])
            frames += try decodeAll(&decoder)
            #expect(frames == stream, "cut at \(cut)")
        }
    }

    @Test func oneByteAfterTheOther() throws {
        var decoder = FrameDecoder()
        var frames: [Frame] = []
        for byte in try stream.flatMap({ try $0.encoded() }) {
            decoder.feed([byte])
            frames += try decodeAll(&decoder)
        }
        #expect(frames == stream)
    }

    /// More than the buffer keeps before it moves its rest to the front.
    @Test func manyFramesInUnevenPieces() throws {
        let frames = (0..<400).map {
            Frame(.event, id: UInt32($0), body: Array(repeating: UInt8(truncatingIfNeeded: $0), count: $0 * 7 % 1500))
        }
        let bytes = try frames.flatMap { try $0.encoded() }
        var decoder = FrameDecoder()
        var out: [Frame] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + 70_001)
            decoder.feed(bytes[start..<end])
            // Takes only one, so that the rest stays in the buffer.
            if let frame = try decoder.next() { out.append(frame) }
            start = end
        }
        out += try decodeAll(&decoder)
        #expect(out == frames)
    }

    @Test(
        arguments: [
            [0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0x01, 0x00, 0x00, 0x06], [0, 0, 0, 4], [0, 0, 0, 0],
            Array("SSH-".utf8), Array("Welc".utf8),
        ] as [[UInt8]])
    func anImpossibleLengthIsRefusedAtOnce(head: [UInt8]) {
        var decoder = FrameDecoder()
        decoder.feed(head)
        let error = #expect(throws: BasculeError.self) { try decoder.next() }
        #expect(error?.code == .protocolViolation)
    }

    @Test func theLargestBodyIsWaitedForNotAllocated() throws {
        var decoder = FrameDecoder()
        decoder.feed([0x01, 0x00, 0x00, 0x05])
        #expect(try decoder.next() == nil)
    }

    @Test(arguments: [0, 7, 8, 255] as [UInt8]) func anUnknownFrameKindIsRefused(kind: UInt8) {
        var decoder = FrameDecoder()
        decoder.feed([0, 0, 0, 5, kind, 0, 0, 0, 1])
        let error = #expect(throws: BasculeError.self) { try decoder.next() }
        #expect(error?.code == .protocolViolation)
        #expect(error?.message.contains("unknown kind \(kind)") == true)
    }

    @Test func aBodyOverTheLimitIsNotSent() throws {
        let error = #expect(throws: BasculeError.self) {
            try Frame(.chunk, id: 1, body: Array(repeating: 0, count: Frame.maximumBody + 1)).encoded()
        }
        #expect(error?.code == .protocolViolation)
        #expect(
            try Frame(.chunk, id: 1, body: Array(repeating: 0, count: Frame.maximumBody)).encoded().count == Frame
                .maximumBody + 9)
    }

    /// A stranger's bytes never crash the decoder; it gives frames, waits or refuses.
    @Test func noiseNeverCrashes() {
        var state: UInt64 = 42
        for _ in 0..<2000 {
            var decoder = FrameDecoder()
            var bytes: [UInt8] = [0, 0]
            for _ in 0..<64 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(UInt8(truncatingIfNeeded: state >> 33))
            }
            decoder.feed(bytes)
            do { while try decoder.next() != nil {} } catch {
                #expect((error as? BasculeError)?.code == .protocolViolation)
            }
        }
    }
}
