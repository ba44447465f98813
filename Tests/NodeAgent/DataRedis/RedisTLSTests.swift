import BasculeModel
import Foundation
import Testing

@testable import BasculeData

@Suite(
    .enabled(
        if: RedisFixture.isInstalled && FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl"),
        "redis-server or openssl is not installed"))
struct RedisTLSTests {
    @Test func onlyTheDeclaredAuthorityIsBelieved() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "bascule-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (key, certificate) = (directory.path + "/key", directory.path + "/certificate")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let port = try RedisFixture.freePort()
        let source = try RedisFixture(
            "--tls-port", "\(port)", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no",
            "--tls-ca-cert-file", certificate)
        try source.run("SET a 1", "CONFIG SET requirepass s%cret")
        let target = try RedisFixture()
        var move = RedisMove(source: "SOURCE", target: RedisTarget(.host("127.0.0.1", port: target.port)))

        func copy(_ url: String) throws -> RedisReport {
            try RedisMover.run(.copy(move), resolve: { _ in Secret(url) })
        }
        let good = "rediss://:s%25cret@localhost:\(port)"
        let unknown = #expect(throws: BasculeError.self) { try copy(good) }
        #expect(unknown?.code == "tls-verification-failed")
        move.sourceAuthority = try String(contentsOfFile: certificate, encoding: .utf8)
        let wrongName = #expect(throws: BasculeError.self) { try copy("rediss://:s%25cret@127.0.0.1:\(port)") }
        #expect(wrongName?.code == "tls-verification-failed")
        let login = #expect(throws: BasculeError.self) { try copy("rediss://:hunter2@localhost:\(port)") }
        #expect(login?.code == .redisLoginRefused)
        #expect(login.map { "\($0)".contains("hunter2") } == false)
        #expect(try copy(good).keysWritten == 1)
        #expect(try RedisMover.run(.verify(move), resolve: { _ in Secret(good) }).isEqual)
    }
}
