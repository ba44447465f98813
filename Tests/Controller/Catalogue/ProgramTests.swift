import BasculeFleet
import BasculeModel
import Foundation
import Testing

@testable import BasculeCatalogue

/// Runs a line in a shell; the tests' own words only.
func runShell(_ line: String) throws -> String { try run(["/bin/sh", "-c", line]).output }

func run(_ words: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: words[0])
    process.arguments = Array(words.dropFirst())
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}

private func exists(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

/// What the catalogue writes, read by the programs it is written for.
@Suite struct ProgramTests {
    private let compiled: Compiled

    init() throws {
        compiled = try CatalogueFolder.compile(try FleetFile.parse(path: CatalogueFolder.example)) {
            $0.addresses = ["saas": "10.9.0.2"]
        }
    }

    @Test(.enabled(if: exists("/usr/sbin/nginx") && exists("/usr/bin/openssl"), "needs nginx and openssl"))
    func nginxAcceptsTheSiteBeforeAndAfterTheFirstDeployment() throws {
        let folder = try CatalogueFolder(["log/x": "", "mime.types": "types {}"])
        let root = folder.path
        for item in compiled.resources["vps1"] ?? [] {
            guard case .file(let spec) = item.resource, spec.path.hasPrefix("/etc/nginx/") else { continue }
            let path = root + spec.path.dropFirst("/etc/nginx".count)
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            // Other paths and ports, so that it may run beside a real one.
            let text = spec.content.display.replacing("/etc/nginx/", with: "\(root)/").replacing(
                "/var/log/nginx/", with: "\(root)/log/"
            )
            .replacing("sites-enabled/", with: "sites-available/").replacing("/run/nginx.pid", with: "\(root)/pid")
            .replacing("listen 80", with: "listen 18980").replacing("[::]:80", with: "[::]:18980")
            .replacing("listen 443", with: "listen 18943").replacing("[::]:443", with: "[::]:18943").replacing(
                ":8081", with: ":18981")
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        try FileManager.default.createDirectory(atPath: "\(root)/bascule/tls", withIntermediateDirectories: true)
        let made = try run([
            "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj",
            "/CN=shop.example", "-keyout", "\(root)/bascule/tls/shop.key", "-out", "\(root)/bascule/tls/shop.crt",
        ])
        #expect(made.status == 0, "\(made.output)")
        let command = ["/usr/sbin/nginx", "-t", "-q", "-c", "\(root)/nginx.conf", "-e", "\(root)/log/error.log"]
        let before = try run(command)
        #expect(before.status == 0 && before.output.isEmpty, "\(before.output)")
        let block = "upstream bascule_shop {\n    server 127.0.0.1:3000;\n    keepalive 32;\n}\n"
        try Data(block.utf8).write(to: URL(fileURLWithPath: "\(root)/bascule/upstream-shop.conf"))
        let after = try run(command)
        #expect(after.status == 0 && after.output.isEmpty, "\(after.output)")
    }

    @Test(.enabled(if: exists("/usr/bin/systemd-analyze"), "needs systemd-analyze"))
    func unitIsLockedDown() throws {
        let folder = try CatalogueFolder()
        let text = try #require(compiled.unit("bascule-shop@.service")?.content?.display)
        let path = "\(folder.path)/bascule-shop@3000.service"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let verdict = try run(["/usr/bin/systemd-analyze", "security", "--offline=true", "--threshold=20", path])
        #expect(verdict.status == 0, "\(verdict.output.suffix(300))")
        #expect(!verdict.output.contains("Unknown"), "\(verdict.output)")
    }
}
