import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct SessionTests {
    let house: House
    init() throws { house = try House() }

    private let hello = Hello(versions: [1, 99], product: "0.1.0", epoch: 4, holder: "alice@laptop pid 1")

    @Test func helloIsAnsweredWithWhoItIs() async throws {
        let peer = try Peer(house)
        guard case .welcome(let welcome) = try await peer.ask(.hello(hello)) else {
            return #expect(Bool(false), "no welcome")
        }
        #expect(welcome.version == 1 && welcome.epoch == 4)
        #expect(welcome.machine == house.services.identity.machine)
        #expect(Hex.decode(welcome.sealingKey)?.count == 32)
        #expect(welcome.migrationAttempt == 0 && welcome.t0 == nil && welcome.secretsTag == nil)
    }

    @Test func noCommonVersionIsSaid() async throws {
        let peer = try Peer(house)
        for versions in [[], [0], [2, 99]] {
            let reply = try await peer.ask(.hello(Hello(versions: versions, product: "9", epoch: 9, holder: "x")))
            #expect(reply.refusal == .protocolVersion)
        }
        #expect(house.services.identity.epoch == 0)
    }

    @Test func aStaleControllerIsRefused() async throws {
        let peer = try Peer(house)
        _ = try await peer.ask(.hello(hello))
        #expect(
            try await peer.ask(.hello(Hello(versions: [1], product: "0.1.0", epoch: 3, holder: "bob"))).refusal
                == .staleController)
        #expect(
            try await peer.ask(.submit(house.segment("s", [house.file("a")], epoch: 3))).refusal == .staleController)
        #expect(!house.folder.exists("a"))
    }

    @Test func statusTellsTheEpochAndThatNothingRuns() async throws {
        let peer = try Peer(house)
        _ = try await peer.ask(.hello(hello))
        guard case .status(let status) = try await peer.ask(.status) else { return #expect(Bool(false), "no status") }
        #expect(
            status.epoch == 4 && status.activities.isEmpty && status.lastSequence == 0 && status.edge == nil
                && status.t0 == nil)
        #expect(status.uptime >= 0 && status.machine == house.services.identity.machine)
    }

    @Test func observingSeesTheFileAndItsChange() async throws {
        let peer = try Peer(house)
        func look() async throws -> Observation? {
            guard case .observations(let seen) = try await peer.ask(.observe([house.desired("motd", "wanted\n")]))
            else { return nil }
            #expect(seen.count == 1)
            return seen.first
        }
        let nothing = try #require(try await look())
        try DurableFile.write(Array("other\n".utf8), to: "\(house.folder.path)/motd", mode: 0o644)
        let other = try #require(try await look())
        try DurableFile.write(Array("wanted\n".utf8), to: "\(house.folder.path)/motd", mode: 0o644)
        let wanted = try #require(try await look())
        #expect(Set([nothing.digest, other.digest, wanted.digest]).count == 3)
        let resource = house.desired("motd", "wanted\n").resource
        guard case .change(let create) = resource.verdict(nothing.observed) else {
            return #expect(Bool(false), "not to be created")
        }
        #expect(create.action == .create)
        guard case .change(let update) = resource.verdict(other.observed) else {
            return #expect(Bool(false), "not to be changed")
        }
        #expect(update.action == .update)
        guard case .satisfied = resource.verdict(wanted.observed) else { return #expect(Bool(false), "not satisfied") }
        #expect(try await look()?.digest == wanted.digest)
    }

    @Test(arguments: [
        #"{"teleport":{}}"#, "", "{",
        #"{"observe":{"_0":[{"id":"n/warp:x","origin":"","requires":[],"resource":{"kind":"warp","value":{}}}]}}"#,
    ])
    func anUnknownRequestIsATypedRefusalAndTheConnectionGoesOn(body: String) async throws {
        let peer = try Peer(house)
        try peer.send(try Frame(.request, id: 77, body: Array(body.utf8)).encoded())
        #expect(try await peer.answer(to: 77).reply.refusal == .unknownRequest)
        guard case .status = try await peer.ask(.status, id: 78) else {
            return #expect(Bool(false), "the connection did not go on")
        }
    }

    @Test func garbageEndsItsConnectionAndNoOther() async throws {
        let good = try Peer(house)
        let bad: [[UInt8]] = [
            Array("GET / HTTP/1.1\r\n\r\n".utf8), [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 5, 9, 0, 0, 0, 1],
            try Wire.frame(.reply, id: 1, Reply.accepted),
        ]
        for bytes in bad {
            let peer = try Peer(house)
            try peer.send(bytes)
            #expect(try await peer.frame() == nil)
        }
        guard case .status = try await good.ask(.status) else {
            return #expect(Bool(false), "the other connection was ended")
        }
    }

    @Test func aConnectionThatBreaksInTheMiddleHurtsNobody() async throws {
        do {
            let peer = try Peer(house)
            try peer.send(Array(try Wire.frame(.request, id: 1, Request.status).prefix(7)))
        }
        do {
            let peer = try Peer(house)
            let digest = Digest(of: "x")
            try peer.send(.putBlob(digest, size: 100))
            try peer.chunk(Array(repeating: 1, count: 50), id: 1)
            // Once a later request of the same connection is answered, the upload has begun.
            _ = try await peer.ask(.status, id: 2)
            #expect(try partial() == 1)
        }
        #expect(try await eventually { try partial() == 0 })
        guard case .status = try await Peer(house).ask(.status) else {
            return #expect(Bool(false), "the agent is gone")
        }
    }

    @Test func requestsOfOneConnectionAreAnsweredById() async throws {
        let peer = try Peer(house)
        try peer.send(.facts, id: 5)
        try peer.send(.status, id: 6)
        guard case .status = try await peer.answer(to: 6).reply else { return #expect(Bool(false), "no status") }
        try peer.send(.status, id: 7)
        guard case .status = try await peer.answer(to: 7).reply else { return #expect(Bool(false), "no status") }
    }

    @Test func anUploadArrivesWholeOrNotAtAll() async throws {
        let peer = try Peer(house)
        let bytes = Array("an archive".utf8)
        let digest = Digest(of: bytes)
        #expect(try await peer.ask(.missingBlobs([digest])) == .digests([digest]))
        func upload(_ id: UInt32, as digest: Digest, size: Int, _ chunks: [[UInt8]]) async throws -> Reply {
            try peer.send(.putBlob(digest, size: size), id: id)
            for chunk in chunks + [[]] { try peer.chunk(chunk, id: id) }
            return try await peer.answer(to: id).reply
        }
        #expect(try await upload(2, as: digest, size: bytes.count, [Array(bytes.dropLast())]).refusal == .uploadDamaged)
        #expect(try await upload(3, as: digest, size: bytes.count, [bytes, bytes]).refusal == .uploadDamaged)
        #expect(try await upload(4, as: digest, size: bytes.count, [Array(bytes.reversed())]).refusal == .uploadDamaged)
        #expect(try await upload(5, as: "../../etc/passwd", size: 1, [[1]]).refusal == .invalidInput)
        #expect(try await upload(6, as: digest, size: -1, [[1]]).refusal == .invalidInput)
        #expect(try await peer.ask(.missingBlobs([digest]), id: 7) == .digests([digest]))
        #expect(try await upload(8, as: digest, size: bytes.count, bytes.map { [$0] }) == .accepted)
        #expect(try await peer.ask(.missingBlobs([digest]), id: 9) == .digests([]))
        #expect(try DurableFile.read("\(house.folder.path)/state/blobs/\(digest)") == bytes)
    }

    /// A cut connection may be served for a while after its successor has begun the same upload anew.
    @Test func whatACutConnectionStillDeliversHarmsNoOther() async throws {
        let bytes = [UInt8](repeating: 7, count: 300_000)
        let digest = Digest(of: bytes)
        let first = try Peer(house)
        try first.send(.putBlob(digest, size: bytes.count))
        try first.chunk(Array(bytes.prefix(100_000)), id: 1)
        _ = try await first.ask(.status, id: 2)
        let second = try Peer(house)
        try second.send(.putBlob(digest, size: bytes.count))
        try second.chunk(Array(bytes.prefix(200_000)), id: 1)
        _ = try await second.ask(.status, id: 2)
        // Other bytes than announced: they are the first one's own trouble.
        try first.chunk([UInt8](repeating: 9, count: 50_000), id: 1)
        _ = try await first.ask(.status, id: 3)
        shutdown(first.descriptor, Int32(SHUT_RDWR))
        #expect(try await eventually { try partial() == 1 })
        try second.chunk(Array(bytes.suffix(100_000)), id: 1)
        try second.chunk([], id: 1)
        #expect(try await second.answer(to: 1).reply == .accepted)
        #expect(try DurableFile.read("\(house.folder.path)/state/blobs/\(digest)") == bytes)
    }

    /// How many uploads are under way.
    private func partial() throws -> Int {
        guard let directory = opendir(house.paths.blobs) else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".part") { count += 1 }
        }
        return count
    }
}
