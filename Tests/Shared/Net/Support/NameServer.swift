import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

/// A real BIND on the loopback, authoritative for `shop.test`, which the key `mover` may change in part.
final class NameServer {
    let scratch: Scratch
    let process: ServerProcess
    let client: DNSClient
    static let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

    init() throws {
        scratch = try Scratch()
        let port = try freePort()
        let zone = try scratch.write(
            "zone",
            """
            $TTL 300
            @ IN SOA ns.shop.test. admin.shop.test. 1 3600 600 86400 3
            @ IN NS ns
            ns IN A 127.0.0.1
            @ IN A 192.0.2.1
            @ IN A 192.0.2.2
            www 2 IN A 192.0.2.10
            www IN AAAA 2001:db8::10
            six IN AAAA 2001:db8::6
            alias 60 IN CNAME other
            other 20 IN CNAME www
            loop IN CNAME pool
            pool IN CNAME loop
            mail IN MX 10 ns
            locked IN A 192.0.2.99
            text IN TXT "one" "two"
            \((0..<60).map { "large IN TXT \"record number \($0) \(String(repeating: "x", count: 60))\"" }
                .joined(separator: "\n"))

            """)
        let configuration = try scratch.write(
            "named.conf",
            """
            options {
                directory "\(scratch.path)"; pid-file none; session-keyfile "\(scratch.path)/session.key";
                listen-on port \(port) { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; allow-query { any; };
                dnssec-validation no;
            };
            controls { };
            key "mover" { algorithm hmac-sha256; secret "\(Self.secret)"; };
            zone "shop.test" {
                type primary; file "\(zone)";
                update-policy { grant mover name www.shop.test. A AAAA; grant mover name new.shop.test. A; };
            };

            """)
        process = try ServerProcess(
            quiet: "/usr/sbin/named", ["-g", "-n", "1", "-c", configuration, "-p", "\(port)"], port: port)
        client = DNSClient(server: try #require(IPAddress("127.0.0.1")), port: port)
        let apex = try DNSName("shop.test")
        let patience = Deadline.seconds(15)
        while true {
            if let answer = try? client.query(apex, .soa, deadline: .after(.milliseconds(500))), answer.authoritative {
                break
            }
            guard !patience.passed else { throw ServerProblem.didNotStart("named") }
            Monotonic.sleep(.milliseconds(50))
        }
    }

    /// The addresses of a name as the server tells them, with their TTLs.
    func ask(_ name: String, _ type: DNSType = .a) throws -> [String: UInt32] {
        let answer = try client.query(DNSName(name), type, deadline: .seconds(5))
        return Dictionary(
            answer.records(type, at: try DNSName(name)).records.compactMap { record in
                if case .address(let address) = record.data { ("\(address)", record.ttl) } else { nil }
            }, uniquingKeysWith: { first, _ in first })
    }
}

/// HMAC-SHA-256 by OpenSSL, as a second opinion on what callers pass in.
func hmacSHA256(_ key: [UInt8], _ message: [UInt8]) throws -> [UInt8] {
    typealias Function =
        @convention(c) (
            OpaquePointer?, UnsafePointer<UInt8>, Int32, UnsafePointer<UInt8>, Int, UnsafeMutablePointer<UInt8>,
            UnsafeMutablePointer<UInt32>
        ) -> UnsafeMutablePointer<UInt8>?
    let library = try #require(dlopen("libcrypto.so.3", RTLD_NOW))
    let function = unsafeBitCast(try #require(dlsym(library, "HMAC")), to: Function.self)
    let sha256 = unsafeBitCast(
        try #require(dlsym(library, "EVP_sha256")), to: (@convention(c) () -> OpaquePointer?).self)
    var sum = [UInt8](repeating: 0, count: 64)
    var size: UInt32 = 0
    _ = function(sha256(), key, Int32(key.count), message, message.count, &sum, &size)
    return Array(sum.prefix(Int(size)))
}

/// The wall clock in seconds since 1970.
func wallClock() -> Int64 { Int64(Date().timeIntervalSince1970) }
