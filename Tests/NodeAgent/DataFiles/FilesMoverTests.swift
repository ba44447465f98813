import BasculeModel
import Foundation
import Synchronization
import Testing

@testable import BasculeData

/// A real sshd on a free port of the loopback, with its own keys, and a tree to copy.
final class FilesFixture {
    static let isInstalled = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/rsync", "/usr/bin/ssh-keygen"]
        .allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }

    let directory: URL
    let source: URL
    let target: URL
    var move: FilesMove
    private let sshd = Process()

    init() throws {
        let files = FileManager.default
        directory = files.temporaryDirectory.appending(path: "bascule-files-\(UUID().uuidString)")
        source = directory.appending(path: "it's a source")
        target = directory.appending(path: "target")
        try files.createDirectory(at: source, withIntermediateDirectories: true)
        try? files.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        for name in ["host", "login", "stranger"] {
            try Self.execute("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory.path + "/" + name)
        }
        let port = UInt16.random(in: 20000...30000)
        let lines = [
            "Port \(port)", "ListenAddress 127.0.0.1", "HostKey \(directory.path)/host",
            "AuthorizedKeysFile \(directory.path)/login.pub", "StrictModes no", "UsePAM no", "PidFile none",
            "PermitRootLogin prohibit-password",
        ]
        try lines.joined(separator: "\n").write(
            to: directory.appending(path: "sshd"), atomically: true, encoding: .utf8)
        let key = try String(contentsOf: directory.appending(path: "host.pub"), encoding: .utf8)
        move = FilesMove(
            from: "\(NSUserName())@127.0.0.1:\(source.path)", hostKey: key, identity: directory.path + "/login",
            to: target.path)
        move.port = port
        sshd.executableURL = URL(filePath: "/usr/sbin/sshd")
        sshd.arguments = ["-D", "-e", "-f", directory.path + "/sshd"]
        sshd.standardError = FileHandle.nullDevice
        try sshd.run()
        for _ in 0..<50 {
            if (try? FilesMover.run(.preflight(move))) != nil { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw BasculeError(.timedOut, "sshd did not start")
    }

    static let postgres: String = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Int($0) }.sorted().map { "\(root)/\($0)/bin" }
            .first { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") } ?? ""
    }()
    private var server: String?

    /// A PostgreSQL server that lives as long as the fixture, on a socket only; gives its socket's folder and port.
    func database(_ sql: String) throws -> (socket: String, port: Int) {
        // A socket's path has at most 107 bytes.
        let folder = "/tmp/bascule-filesdb-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        server = folder
        try Self.run(["chown", "postgres", folder])
        let initdb = ["initdb", "-D", "\(folder)/data", "-U", "postgres", "-E", "UTF8", "--auth=trust", "--no-sync"]
        try asServer(initdb)
        let settings = "-c port=5432 -c listen_addresses= -c unix_socket_directories=\(folder) -c fsync=off"
        try asServer(["pg_ctl", "-D", "\(folder)/data", "-l", "\(folder)/log", "-w", "-o", settings, "start"])
        try Self.run(["psql", "-Xq", "-h", folder, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql])
        return (folder, 5432)
    }

    private func asServer(_ command: [String]) throws {
        try Self.run(["runuser", "-u", "postgres", "--", "\(Self.postgres)/\(command[0])"] + command.dropFirst())
    }

    /// By our own means: while sshd runs, Foundation's `Process` waits for ever for another program's end.
    static func run(_ command: [String]) throws {
        let ending = try FilesCommand(program: command[0], arguments: Array(command.dropFirst())).run { _ in }
        guard ending.status == 0 else {
            throw BasculeError(.commandFailed, "\(command[0]): \(String(decoding: ending.complaint, as: UTF8.self))")
        }
    }

    deinit {
        if let server {
            try? asServer(["pg_ctl", "-D", "\(server)/data", "-m", "immediate", "stop"])
            try? FileManager.default.removeItem(atPath: server)
        }
        kill(sshd.processIdentifier, SIGKILL)
        sshd.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Writes by the bytes of the name, which need be no text.
    func write(_ name: [UInt8], _ content: [UInt8], in tree: URL) throws {
        let path = Array(tree.path.utf8) + [47] + name + [0]
        let descriptor = path.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer {
            $0.baseAddress.map { open($0, O_WRONLY | O_CREAT | O_TRUNC, 0o644) } ?? -1
        }
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(Glibc.write(descriptor, content, content.count) == content.count)
    }

    func fill() throws {
        let names = ["plain", "-rf", " lead", "new\nline", "quo'te\"$(id)`x`;*", "\\back", "café"].map {
            Array($0.utf8)
        }
        for name in names + [[98, 255, 254]] { try write(name, name, in: source) }
        let deep = source.appending(path: "a/b")
        try FileManager.default.createDirectory(at: deep, withIntermediateDirectories: true)
        for number in 0..<300 { try write(Array("f\(number)".utf8), [UInt8(number & 255)], in: deep) }
        for (name, to) in [
            ("inside", "a/b/f1"), ("dangling", "nowhere"), ("absolute", "/etc/passwd"), ("outside", "../../x"),
            ("a/up", "../plain"),
        ] {
            try FileManager.default.createSymbolicLink(
                atPath: source.path + "/" + name, withDestinationPath: to)
        }
    }

    private static func execute(_ program: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BasculeError(.commandFailed, "\(program) failed") }
    }
}

@Suite(
    .enabled(if: FilesFixture.isInstalled && getuid() == 0, "needs root, rsync, openssh-server and openssh-client"),
    .serialized)
struct FilesMoverTests {
    @Test func strangeNamesAndLinksArrive() throws {
        let fixture = try FilesFixture()
        try fixture.fill()
        fixture.move.owner = "nobody"
        fixture.move.group = "nogroup"
        let census = try FilesMover.run(.preflight(fixture.move))
        #expect(census.sourceFiles == 308)
        #expect(!census.findings.contains { $0.weight == .refuse })
        let copied = try FilesMover.run(.copy(fixture.move))
        #expect(copied.filesWritten == 308)
        let verified = try FilesMover.run(.verify(fixture.move))
        #expect(verified.isEqual, "\(verified.differences)")
        #expect(verified.pathsEqual == 311)
        #expect(verified.unsafeLinks == 2)
        let attributes = try FileManager.default.attributesOfItem(atPath: fixture.target.path + "/-rf")
        #expect(attributes[.ownerAccountName] as? String == "nobody")
        #expect(!FileManager.default.fileExists(atPath: fixture.target.path + "/absolute"))
    }

    @Test func verifyFindsWhatTimesHide() throws {
        let fixture = try FilesFixture()
        try fixture.fill()
        fixture.move.delete = true
        _ = try FilesMover.run(.copy(fixture.move))
        let path = fixture.target.path + "/a/b/f7"
        let date = try #require(try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date)
        try fixture.write(Array("a/b/f7".utf8), [200], in: fixture.target)
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
        try fixture.write(Array("more\nover".utf8), [1], in: fixture.target)
        try FileManager.default.removeItem(atPath: fixture.target.path + "/-rf")
        let found = try FilesMover.run(.verify(fixture.move))
        #expect(!found.isEqual)
        #expect(
            Dictionary(uniqueKeysWithValues: found.differences.map { ($0.path, $0.kind) }) == [
                "a/b/f7": .content, "more\\x0aover": .extra, "-rf": .missing,
            ])
        let synced = try FilesMover.run(.sync(fixture.move, thorough: true))
        #expect(synced.filesDeleted == 1)
        #expect(try FilesMover.run(.verify(fixture.move)).isEqual)
    }

    @Test func aTargetWithFilesIsRefusedAndAMergeKeepsThem() throws {
        let fixture = try FilesFixture()
        try fixture.fill()
        try FileManager.default.createDirectory(at: fixture.target, withIntermediateDirectories: true)
        try fixture.write(Array("mine".utf8), [1], in: fixture.target)
        let error = #expect(throws: BasculeError.self) { try FilesMover.run(.copy(fixture.move)) }
        #expect(error?.code == .filesTargetNotEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.target.path) == ["mine"])
        fixture.move.existing = .merge
        fixture.move.delete = true
        _ = try FilesMover.run(.copy(fixture.move))
        _ = try FilesMover.run(.sync(fixture.move, thorough: false))
        #expect(FileManager.default.fileExists(atPath: fixture.target.path + "/mine"))
        #expect(try FilesMover.run(.verify(fixture.move)).isEqual)
    }

    /// The sizes of all files below a folder, those that are still being written among them.
    private static func bytes(below folder: String) -> Int {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.reduce(0) { sum, name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            return sum
                + (attributes?[.type] as? FileAttributeType == .typeRegular ? attributes?[.size] as? Int ?? 0 : 0)
        }
    }

    @Test func aCutCopyGoesOnWithHalfAFile() throws {
        let fixture = try FilesFixture()
        try fixture.write(
            Array("big".utf8), (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }, in: fixture.source)
        fixture.move.maxKiBPerSecond = 1500
        let target = fixture.target.path
        let error = #expect(throws: BasculeError.self) {
            try FilesMover.run(.copy(fixture.move), isCancelled: { Self.bytes(below: target) > 300_000 })
        }
        #expect(error?.code == .cancelled)
        // Whole or not there at all.
        #expect(!FileManager.default.fileExists(atPath: fixture.target.path + "/big"))
        let half = fixture.target.path + "/.bascule-partial/big"
        let size = try FileManager.default.attributesOfItem(atPath: half)[.size] as? Int ?? 0
        #expect(size > 100_000 && size < 4_000_000)
        fixture.move.maxKiBPerSecond = nil
        _ = try FilesMover.run(.copy(fixture.move))
        #expect(try FilesMover.run(.verify(fixture.move)).isEqual)
        _ = try FilesMover.run(.finish(fixture.move))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.target.path) == ["big"])
    }

    @Test func onlyTheDeclaredHostKeyIsBelieved() throws {
        let fixture = try FilesFixture()
        fixture.move.hostKey = try String(
            contentsOf: fixture.directory.appending(path: "stranger.pub"), encoding: .utf8)
        let changed = #expect(throws: BasculeError.self) { try FilesMover.run(.copy(fixture.move)) }
        #expect(changed?.code == .filesSourceUnreachable)
        #expect(changed?.message.contains("host key") == true)
        fixture.move.hostKey = try String(contentsOf: fixture.directory.appending(path: "host.pub"), encoding: .utf8)
        fixture.move.identity = fixture.directory.path + "/stranger"
        let login = #expect(throws: BasculeError.self) { try FilesMover.run(.copy(fixture.move)) }
        #expect(login?.code == .filesSourceUnreachable)
    }

    @Test(arguments: [
        "host:/x", "u@h", "u@h:relative", "-u@h:/x", "u@-oProxyCommand=x:/x", "u@h:/", "u@h h:/x", "u@h:/a\nb",
        "u;id@h:/x",
    ])
    func badSourcesAreRefused(from: String) {
        let move = FilesMove(from: from, hostKey: "ssh-ed25519 AAAA", identity: "/k", to: "/t")
        let error = #expect(throws: BasculeError.self) { try FilesMover.run(.preflight(move)) }
        #expect(error?.code == .invalidInput)
    }

    @Test(arguments: [
        ("a", "b", false), ("a", "/b", true), ("a", "../b", true), ("a/b", "../c", false), ("a/b", "../../c", true),
        ("a/b", "x/../../../c", true), ("a", "", true), ("a", "./b/../c", false),
    ])
    func linksThatLeadOut(path: String, target: String, expected: Bool) {
        #expect(FilesPass.leadsOut(Array(path.utf8), Array(target.utf8)) == expected)
    }

    /// The archive of the files, read back with tar and nothing else, is the tree.
    @Test func theArchiveOfATreeComesBack() throws {
        let fixture = try FilesFixture()
        try fixture.fill()
        let folder = fixture.directory.appending(path: "kept").path
        let task = ArchiveTask(name: "uploads", source: .files(fixture.move, key: nil), folder: folder, isFenced: true)
        let report = try Archiver.run(task, resolve: { _ in Secret("") })
        #expect(report.faults.isEmpty && report.count == 308, "\(report)")
        try FileManager.default.createDirectory(at: fixture.target, withIntermediateDirectories: true)
        try FilesFixture.run(["tar", "-xpf", "\(folder)/files.tar", "-C", fixture.target.path])
        let trees = [fixture.source, fixture.target].map { FilesTree(root: $0.path, isCancelled: { false }) }
        let manifests = try trees.map { try $0.manifest { _ in } }
        #expect(manifests[0] == manifests[1] && manifests[0].count == 313)
        // Files that grow while they are packed: of a source that was said to be at rest that is a fault.
        for number in 0..<40 {
            try fixture.write(Array("m\(number)".utf8), [UInt8](repeating: 7, count: 400_000), in: fixture.source)
        }
        let source = fixture.source
        let grown = Atomic(false)
        let off = Result {
            try Archiver.run(
                task, resolve: { _ in Secret("") },
                progress: { _ in
                    guard !grown.exchange(true, ordering: .relaxed) else { return }
                    for number in 0..<40 {
                        let file = FileHandle(forWritingAtPath: "\(source.path)/m\(number)")
                        _ = try? file?.seekToEnd()
                        file?.write(Data([1, 2, 3]))
                    }
                })
        }
        switch off {
        case .success(let report): #expect(report.faults.count == 1 && report.faults[0].contains(" bytes of "))
        // The one that tar has in hands it names itself.
        case .failure(let error): #expect("\(error)".contains("file changed as we read it"), "\(error)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder + ".partial"))
    }

    /// Both ways: what the database names must be there, and what is there must be named.
    @Test(
        .enabled(if: !FilesFixture.postgres.isEmpty, "needs PostgreSQL's server binaries"),
        .enabled(
            if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] == "1", "takes seconds: BASCULE_TEST_ALL=1"))
    func referencesAreHeldAgainstTheFilesBothWays() throws {
        let fixture = try FilesFixture()
        for name in ["a b.png", "named.png", "orphan.png"] {
            try fixture.write(Array(name.utf8), [1], in: fixture.source)
        }
        let (socket, port) = try fixture.database(
            """
            CREATE TABLE products (id int, image text);
            INSERT INTO products VALUES (1, '/uploads/named.png'), (2, '/uploads/a%20b.png?v=2'), (3, NULL), (4, ''),
                (5, '/uploads/gone.png'), (6, 'https://elsewhere.example/x.png');
            CREATE SCHEMA shop; CREATE TABLE shop.avatars (file text); INSERT INTO shop.avatars VALUES ('named.png')
            """)
        func reference(_ column: String, _ prefix: String) -> FilesReference {
            FilesReference(database: "postgres", socket: socket, port: port, column: column, prefix: prefix)
        }
        fixture.move.references = [reference("products.image", "/uploads/"), reference("shop.avatars.file", "")]
        _ = try FilesMover.run(.copy(fixture.move))
        let verified = try FilesMover.run(.verify(fixture.move))
        #expect(verified.isEqual, "the move itself is whole")
        let check = try #require(verified.references)
        #expect(check.references == 5 && check.missing == 2 && check.orphaned == 1, "\(check)")
        #expect(
            check.missingFirst == [
                "products.image: /uploads/gone.png", "products.image: https://elsewhere.example/x.png",
            ])
        #expect(check.orphanedFirst == ["orphan.png"])
        fixture.move.references = [reference("products.picture", "")]
        let wrong = #expect(throws: BasculeError.self) { try FilesMover.run(.verify(fixture.move)) }
        #expect(wrong?.code == .commandFailed && wrong?.cause?.contains("picture") == true)
    }
}
