import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeSSH
import Foundation

/// A release with nothing but a token file: no store, no fleet file, no agent's greeting.
package struct TokenRelease: Sendable {
    /// What happened on one node, as it happens.
    package typealias Say = @Sendable (NodeName, String) -> Void

    private let file: TokenFile
    private let say: Say

    package init(_ file: TokenFile, say: @escaping Say) { (self.file, self.say) = (file, say) }

    /// Releases on node after node, and stops at the first that refuses or goes back.
    /// - Returns: the nodes that run the release, and why the next one does not.
    package func run(source: String) async throws -> (released: [NodeName], failure: BasculeError?) {
        let content = try await AppArchive.make(from: source, name: file.app)
        var released: [NodeName] = []
        for node in file.nodes {
            do {
                try await release(content, on: node)
                released.append(node.name)
            } catch {
                let failure = BasculeError.wrapping(error, "the release failed")
                return (released, failure.placed(at: .node(name: node.name.rawValue, subject: nil)))
            }
        }
        return (released, nil)
    }

    private func release(_ content: [UInt8], on node: TokenFile.Node) async throws {
        let login = SSHLogin(
            user: "bascule", identities: [.key(Secret(file.key), name: "the token's key")],
            hostKeys: .pinned(try node.hostKeys.map { try SSHHostKey(line: $0) }))
        let session = try await SSHSession.connect(
            to: SSHEndpoint(host: node.host, port: UInt16(node.port)), login: login)
        let result: Result<Void, any Error>
        do {
            let stream = try await session.openStream("release", deadline: .seconds(45))
            let upload = Task { try await self.upload(content, to: stream) }
            defer { upload.cancel() }
            do { result = .success(try await follow(stream, node.name)) } catch { result = .failure(error) }
            await stream.close()
        } catch { result = .failure(error) }
        await session.close()
        try result.get()
    }

    private func upload(_ content: [UInt8], to stream: SSHStream) async throws {
        let request = DoorRequest.release(app: file.app, archive: Digest(of: content), size: content.count)
        try await stream.write(try Wire.frame(.request, id: 1, request))
        var reader = try Blob.bytes(content).reader()
        while let piece = try reader.next() {
            try Task.checkCancellation()
            try await stream.write(try Frame(.chunk, id: 1, body: piece).encoded())
        }
        try await stream.write(try Frame(.chunk, id: 1, body: []).encoded())
    }

    /// Reads to the answer. A node that is silent for two minutes is lost: at work it says something every five seconds.
    private func follow(_ stream: SSHStream, _ node: NodeName) async throws {
        var decoder = FrameDecoder()
        while let bytes = try await stream.read(deadline: .seconds(120)) {
            decoder.feed(bytes)
            while let frame = try decoder.next() {
                switch frame.kind {
                case .event:
                    if case .progress(let progress) = try Wire.decode(Event.self, from: frame.body) {
                        say(node, progress.line)
                    }
                case .reply:
                    switch try Reply.decoded(from: frame.body) {
                    case .accepted: return
                    case .refused(let error): throw error
                    default: throw BasculeError(.protocolViolation, "the node answered something else")
                    }
                default: throw BasculeError(.protocolViolation, "the node sent a request")
                }
            }
        }
        let said = String(decoding: await stream.stderr().suffix(500), as: UTF8.self)
        throw BasculeError(
            .linkLost, "the node ended the connection", cause: said.isEmpty ? nil : said,
            hint: "what came of the release is not known: run the same command again")
    }
}
