import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeProviders
import BasculeSSH
import Foundation

/// Where a fleet's connection holder is, and how it is started. `BASCULE_HOLD` says for how many seconds an unused
/// connection is kept (60); 0 keeps none.
struct Holding: Sendable {
    let client: HolderClient
    private let store: String
    private let seconds: Int

    /// Our own program's file.
    static let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""

    /// nil where nothing is to be held. The socket's name stands for program, store and fleet key: after a change of
    /// any of them the old holder is not found any more, and ends by itself.
    init?(store: String, fleetKey: String) {
        let said = ProcessInfo.processInfo.environment["BASCULE_HOLD"].flatMap { Int($0) }
        seconds = min(said ?? 60, 3600)
        guard seconds > 0 else { return nil }
        self.store = URL(fileURLWithPath: store).path
        let program = FileIdentity(Holding.program)
        let name = Digest(of: Array("\(program) \(self.store) \(fleetKey)".utf8)).rawValue.prefix(16)
        let path = "\(Holding.folder(beside: self.store))/bascule-\(name).sock"
        guard LocalStream.fits(path) else { return nil }
        client = HolderClient(socket: path)
    }

    private static func folder(beside store: String) -> String {
        var status = stat()
        if let folder = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], folder.hasPrefix("/"),
            stat(folder, &status) == 0, status.st_uid == geteuid(), status.st_mode & 0o077 == 0
        {
            return folder
        }
        return (store as NSString).deletingLastPathComponent
    }

    /// Has connections kept, by the holder that runs or by a new one. What goes wrong costs the next command a login.
    func keep(_ order: HolderOrder) async {
        if await client.hand(order) { return }
        guard let input = try? Wire.encode(order) else { return }
        try? Command.detach(
            [
                Holding.program, "connection-holder", "--socket", client.socket, "--store", store, "--seconds",
                "\(seconds)",
            ], stdin: input)
    }
}

/// Which file this is, as long as nobody replaces it.
struct FileIdentity: Equatable, CustomStringConvertible {
    private var device: dev_t = 0
    private var inode: ino_t = 0

    /// A file that is not there has an identity too: that of no file.
    init(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        (device, inode) = (status.st_dev, status.st_ino)
    }

    var description: String { "\(device):\(inode)" }
}

/// The system's limit of open files: a connection is one, and often two.
package enum FileLimit {
    /// As many as this user may have. The usual 1024 is kept small only for programs that use `select`.
    package static func raise() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, 65536)
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
