import BasculeFleet
import BasculeModel
import Foundation
import Testing

@testable import BasculeCatalogue

/// Apps by their runtime: units, ports, memory, and what is refused.
@Suite struct RuntimeTests {
    private func fleet(_ app: String, image: String = "debian12", resources: String = "") -> String {
        """
        fleet: apps
        nodes:
          vps1: {provider: lab, image: \(image)}
        topologies:
          single: {vps1: [app]}
        topology: single
        apps:
          shop: {source: {path: ./shop}, port: 3000, \(app)}
        \(resources)
        """
    }

    private func spec(_ compiled: Compiled) -> AppSpec? {
        if case .app(let spec)? = compiled.find("app:shop")?.resource { spec } else { nil }
    }

    private func unit(_ compiled: Compiled) -> String {
        compiled.unit("bascule-shop@.service")?.content?.display ?? ""
    }

    @Test(arguments: [
        ("systemd", 4, [3000, 3001, 3002, 3003], 4 * 256), ("pm2", 4, [3000, 3001], 4 * 256 + 128),
        ("pm2", 1, [3000], 256 + 64), ("docker", 2, [3000, 3001], 2 * (256 + 48)),
    ])
    func portsAndMemory(_ runtime: String, _ instances: Int, _ ports: [Int], _ mebibytes: Int) throws {
        let compiled = try CatalogueFolder().compile(
            fleet("start: node server.js, runtime: \(runtime), instances: \(instances)"))
        #expect(spec(compiled)?.ports == ports)
        let share = try #require(compiled.memory.first { $0.service == "app shop" })
        #expect(share.bytes == mebibytes << 20)
    }

    @Test func memoryIsTheUnitsLimit() throws {
        let one = try CatalogueFolder().compile(fleet("start: node server.js, memory: 300MiB"))
        #expect(unit(one).contains("\nMemoryMax=300M\n"))
        // The larger of two sets of workers, and PM2 itself.
        let pm2 = try CatalogueFolder().compile(
            fleet("start: node server.js, memory: 100MiB, instances: 5, runtime: pm2"))
        #expect(unit(pm2).contains("\nMemoryMax=364M\n"))
    }

    @Test func aChangedEcosystemRollsTheInstances() throws {
        let texts = try [4, 5].map {
            unit(try CatalogueFolder().compile(fleet("start: node server.js, runtime: pm2, instances: \($0)")))
        }
        #expect(texts[0] != texts[1])
        #expect(
            texts[0].contains(
                "ExecStart=node /usr/local/lib/bascule-pm2-6.0.14/node_modules/pm2/bin/pm2-runtime start /srv/apps/shop/ecosystem.config.js\n"
            ))
        #expect(texts[0].contains("\nEnvironment=PM2_HOME=/var/lib/bascule-shop/pm2-%i\n"))
    }

    /// Evaluated by Node.js itself, for each of the two sets.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/node"), "there is no Node.js"),
        arguments: [("3000", 3), ("3001", 2)])
    func nodeUnderstandsTheEcosystem(_ port: String, _ workers: Int) throws {
        let folder = try CatalogueFolder()
        let compiled = try folder.compile(
            fleet(
                #"start: [node, --enable-source-maps, -r, ./init.js, bin/server.js, "it's", "a\"b\\c é"], runtime: pm2, instances: 5, memory: 200MiB, drain: 7s"#
            ))
        try Data(compiled.text("/srv/apps/shop/ecosystem.config.js").utf8)
            .write(to: URL(fileURLWithPath: folder.path + "/ecosystem.config.js"))
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/node")
        process.arguments = [
            "-p", "JSON.stringify(require(process.argv[1]).apps)", folder.path + "/ecosystem.config.js",
        ]
        process.environment = ["PORT": port]
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        struct Entry: Decodable {
            var name, script, cwd, exec_mode, max_memory_restart, out_file: String
            var args, node_args: [String]
            var instances, kill_timeout: Int
            var pmx, watch: Bool
        }
        let entry = try #require(try JSONDecoder().decode([Entry].self, from: output).first)
        #expect(entry.name == "shop-\(port)" && entry.script == "bin/server.js" && entry.exec_mode == "cluster")
        #expect(entry.instances == workers && entry.kill_timeout == 7000 && entry.max_memory_restart == "200M")
        #expect(entry.args == ["it's", "a\"b\\c é"] && entry.cwd == "/srv/apps/shop/current/app")
        #expect(entry.node_args == ["--enable-source-maps", "-r", "./init.js"])
        #expect(entry.out_file == "/var/log/bascule-shop/out-\(port).log" && !entry.pmx && !entry.watch)
    }

    @Test(arguments: ["npm start", "python3 app.py", "node", "node --inspect"])
    func pm2RunsScriptsOfNodeOnly(_ start: String) throws {
        let error = try #require(try CatalogueFolder().error(fleet("start: \(start), runtime: pm2")))
        #expect(error.message.contains("scripts of Node.js") && error.hint?.contains("systemd") == true, "\(error)")
    }

    @Test func pm2ComesFromAnArchiveOrFromTheNode() throws {
        let folder = try CatalogueFolder(["pm2.tgz": "not really"])
        let packed = try folder.compile(fleet("start: node server.js, runtime: pm2, pm2: {tarball: pm2.tgz}"))
        #expect(packed.uploads.values.contains(folder.path + "/pm2.tgz"))
        let command = try #require(packed.resources["vps1"]?.first { $0.id.rawValue.contains("command:pm2-") })
        #expect(packed.find("app:shop")?.requires.contains(command.id) == true)
        let there = try folder.compile(
            fleet("start: node server.js, runtime: pm2, pm2: {path: /opt/pm2}"))
        #expect(unit(there).contains("ExecStart=node /opt/pm2/bin/pm2-runtime start"))
        #expect(there.resources["vps1"]?.contains { $0.id.rawValue.contains("package:npm") } == false)
    }

    @Test(arguments: [(18, DebianRelease.bookworm), (20, .trixie)])
    func theReleasesOwnNodeIsTaken(_ major: Int, _ release: DebianRelease) throws {
        let compiled = try CatalogueFolder().compile(fleet("start: node server.js, node: \(major)")) {
            $0.releases = ["vps1": release]
        }
        #expect(compiled.find("package:nodejs") != nil)
    }

    @Test func anotherNodeNeedsItsRepository() throws {
        let app = "start: node server.js, build: [npm ci], node: 22"
        let error = try #require(try CatalogueFolder().error(fleet(app)))
        #expect(error.message.contains("needs Node.js 22, and the Debian of node vps1 has 18"), "\(error)")
        #expect(error.hint?.contains("https://deb.nodesource.com/node_22.x") == true)
        let folder = try CatalogueFolder(["keys/nodesource.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
        let compiled = try folder.compile(
            fleet(
                app,
                resources:
                    "resources:\n  - {on: app, aptRepository: nodesource, uris: https://deb.nodesource.com/node_22.x, suites: [nodistro], components: [main], key: keys/nodesource.asc}"
            ))
        #expect(compiled.find("package:nodejs") != nil)
        // NodeSource's nodejs has npm inside; Debian's would conflict with it.
        #expect(compiled.find("package:npm") == nil)
    }

    @Test func aContainerHasTheSameSpec() throws {
        let compiled = try CatalogueFolder().compile(
            fleet("start: node server.js, runtime: docker, memory: 128MiB, env: {A: b, SECRET: !secret S}"))
        let compose = compiled.text("/srv/apps/shop/compose.yaml")
        for line in [
            "    image: \"node:18-bookworm-slim\"", "    command: [\"node\", \"server.js\"]", "    mem_limit: 128m",
            "      - A\n      - SECRET\n", "      - /srv/apps/shop/current/app:/app:ro",
        ] { #expect(compose.contains(line), "\(compose)") }
        // Values come from the unit's environment: none stands in the file.
        #expect(!compose.contains("‹secret"))
        #expect(unit(compiled).contains("--file /srv/apps/shop/compose.yaml up"))
        #expect(compiled.find("package:nodejs") == nil)
    }
}
