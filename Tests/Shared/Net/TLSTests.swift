import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

/// A certificate authority, and a server certificate for `shop.example` and 127.0.0.1, made by the openssl program.
final class Certificates {
    let scratch: Scratch
    let authority: String
    let digest: [UInt8]
    var files: (String, String) { (scratch.path + "/leaf.pem", scratch.path + "/leaf.key") }

    init() throws {
        scratch = try Scratch()
        let folder = scratch.path
        try run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2",
            "-subj", "/CN=Test CA", "-keyout", folder + "/ca.key", "-out", folder + "/ca.pem")
        try run(
            "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=shop.example", "-keyout", folder + "/leaf.key", "-out", folder + "/leaf.csr")
        let names = try scratch.write("names", "subjectAltName=DNS:shop.example,DNS:*.w.example,IP:127.0.0.1\n")
        try run(
            "openssl", "x509", "-req", "-in", folder + "/leaf.csr", "-CA", folder + "/ca.pem", "-CAkey",
            folder + "/ca.key", "-CAcreateserial", "-days", "1", "-extfile", names, "-out", folder + "/leaf.pem")
        authority = try scratch.read("ca.pem")
        let print = try run("openssl", "x509", "-in", folder + "/leaf.pem", "-noout", "-fingerprint", "-sha256")
        digest =
            print.split(separator: "=").last.map { text in
                text.split(separator: ":").compactMap {
                    UInt8($0.trimmingCharacters(in: .whitespacesAndNewlines), radix: 16)
                }
            } ?? []
    }
}

@Suite struct TLSTests {
    let certificates: Certificates
    init() throws { certificates = try Certificates() }

    func connect(_ server: ServerProcess, _ name: String, _ trust: TLSTrust) throws -> TLSStream {
        try TLSStream.connect(
            to: .host("127.0.0.1", port: server.port), serverName: name, context: TLSContext(trust: trust),
            deadline: .seconds(5))
    }

    @Test func verifiesChainAndName() throws {
        let server = try serve(certificates.scratch, "tls-echo", certificates.files.0, certificates.files.1)
        let ours = TLSTrust.authorities(pem: certificates.authority)
        #expect(try connect(server, "shop.example", ours).version == "TLSv1.3")
        #expect(try connect(server, "SHOP.example.", ours).certificateSHA256 == certificates.digest)
        #expect(try connect(server, "a.w.example", ours).peer == "127.0.0.1:\(server.port)")
        #expect(throws: Never.self) { try connect(server, "127.0.0.1", ours) }
        for name in ["other.example", "a.b.w.example", "127.0.0.2", "shop.example.evil.test"] {
            let error = failure { _ = try connect(server, name, ours) }
            #expect(error?.code == .tlsVerificationFailed)
            #expect(error?.cause == (name == "127.0.0.2" ? "IP address mismatch" : "hostname mismatch"))
        }
        let stranger = failure { _ = try connect(server, "shop.example", .systemStore) }
        #expect(
            stranger?.description == """
                127.0.0.1:\(server.port): The server's certificate does not prove that it is ‘shop.example’ \
                [tls-verification-failed]
                cause: unable to get local issuer certificate
                """)
        let expires = try #require(connect(server, "shop.example", ours).certificateExpires)
        #expect(abs(Double(expires) - Date().timeIntervalSince1970 - 86400) < 300)
    }

    @Test func believesAPinAndNothingElse() throws {
        let server = try serve(certificates.scratch, "tls-echo", certificates.files.0, certificates.files.1)
        #expect(throws: Never.self) { try connect(server, "any.name", .pinned(sha256: certificates.digest)) }
        var wrong = certificates.digest
        wrong[31] ^= 1
        let error = failure { _ = try connect(server, "shop.example", .pinned(sha256: wrong)) }
        #expect(error?.code == .tlsVerificationFailed)
        #expect(error?.message == "The server's certificate is not the pinned one")
        #expect(throws: Never.self) { try connect(server, "any.name", .unverified) }
        #expect(failure { _ = try TLSContext(trust: .pinned(sha256: [1])) }?.code == .invalidInput)
        #expect(failure { _ = try TLSContext(trust: .authorities(pem: "nothing")) }?.code == .invalidInput)
    }

    @Test func carriesMuchBothWaysAtOnce() throws {
        let server = try serve(certificates.scratch, "tls-echo", certificates.files.0, certificates.files.1)
        let stream = try connect(server, "shop.example", .authorities(pem: certificates.authority))
        let sent = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        Thread { try? stream.write(sent, deadline: .seconds(30)) }.start()
        #expect(try stream.read(exactly: sent.count, deadline: .seconds(30)) == sent)
        stream.close()
    }

    @Test func noticesACutStream() throws {
        let server = try serve(certificates.scratch, "tls-cut", certificates.files.0, certificates.files.1)
        let stream = try connect(server, "shop.example", .unverified)
        try stream.write(Array("go".utf8), deadline: .seconds(5))
        #expect(try stream.read(exactly: 4, deadline: .seconds(5)) == Array("half".utf8))
        let error = failure { _ = try stream.read(max: 1, deadline: .seconds(5)) }
        #expect(error?.message == "The peer closed without ending TLS: the data may be cut off")
    }

    @Test func refusesOldVersionsAndPlainServers() throws {
        let old = try serve(certificates.scratch, "tls-old", certificates.files.0, certificates.files.1)
        #expect(failure { _ = try connect(old, "shop.example", .unverified) }?.code == .tlsFailed)
        let plain = try serve(certificates.scratch, "echo")
        #expect(failure { _ = try connect(plain, "shop.example", .unverified) }?.code == .tlsFailed)
        let silent = try serve(certificates.scratch, "silent")
        let late = failure {
            _ = try TLSStream.connect(
                to: .host("127.0.0.1", port: silent.port), context: TLSContext(trust: .unverified),
                deadline: .after(.milliseconds(300)))
        }
        #expect(late?.code == .timedOut)
    }

    @Test func namesThePackageThatIsMissing() {
        let error = failure { _ = try Symbols(library: "libssl.so.none") }
        #expect(error?.code == .tlsLibraryMissing)
        #expect(error?.hint == "Install the package libssl3 (libssl3t64 on newer Debian and Ubuntu).")
    }
}
