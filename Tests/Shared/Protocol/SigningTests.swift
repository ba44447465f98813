import BasculeModel
import Testing

@testable import BasculeProtocol

@Suite struct SigningTests {
    private let head = SignedHead(machine: "m", epoch: 1, serial: 2, nonce: "n", counter: 3)

    @Test func goldenBytes() throws {
        let request = try SignedRequest(head, .restore("s")) { _ in Array(repeating: 7, count: 64) }
        let json = #"{"counter":3,"epoch":1,"machine":"m","nonce":"n","serial":2}"#
        #expect(
            request.encoded == Array(repeating: 7, count: 64) + [0, UInt8(json.utf8.count)] + Array(json.utf8)
                + Array(#"{"restore":{"_0":"s"}}"#.utf8))
        #expect(
            request.signedBytes == Array("bascule request 1\n".utf8) + request.encoded.dropFirst(64))
        #expect(try SignedRequest(parsing: request.encoded) == request)
    }

    @Test func whatIsCutIsRefused() throws {
        let bytes = try SignedRequest(head, .leave) { _ in Array(repeating: 0, count: 64) }.encoded
        for count in [0, 1, 63, 64, 65, 66, 80] {
            let error = #expect(throws: BasculeError.self) { try SignedRequest(parsing: Array(bytes.prefix(count))) }
            #expect(error?.code == .protocolViolation)
        }
    }

    @Test(
        arguments: [
            ([1, 2, 3], [true, true, true]), ([1, 1], [true, false]), ([3, 1, 2, 2], [true, true, true, false]),
            ([0, -1], [false, false]), ([100, 37, 36, 37], [true, true, false, false]),
            ([1, 1_000_000, 1, 999_999, 1_000_001], [true, true, false, true, true]),
            ([5, 69, 6, 5], [true, true, true, false]),
        ] as [([Int], [Bool])]) func aNumberPassesOnce(numbers: [Int], passes: [Bool])
    {
        var window = ReplayWindow()
        #expect(numbers.map { window.admit($0) } == passes)
    }
}
