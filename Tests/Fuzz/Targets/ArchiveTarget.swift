import BasculeModel
@testable import BasculeResources
import Glibc

extension FuzzTarget {
    /// A release's archive, unpacked for real: whatever it holds, nothing may appear outside of its directory.
    ///
    /// The unpacking user may write around that directory, so that an escape would succeed and be seen.
    static let archive = FuzzTarget(name: "archive") { bytes in
        let base = "/dev/shm/bascule-fuzz-\(getpid())"
        let spec = ReleaseSpec(
            app: "a", release: Digest(rawValue: String(repeating: "0", count: 64)),
            archive: .blob(Digest(rawValue: String(repeating: "1", count: 64)), size: bytes.count), build: [],
            buildEnv: [:], env: [:], user: "nobody", root: base)
        try prepare(base, spec.directory)
        defer { try? removeTree(base) }
        let blob = "\(base)/blob"
        require(spill(bytes, to: blob), "the input could not be written")
        let context = NodeContext(
            stateDirectory: base, resolve: { _ in Secret("") }, nodeKey: [], blobPath: { _ in blob })
        defer {
            require(names(base) == ["blob", "releases"] && names("\(base)/releases").count == 1, "it climbed out")
            require(names(spec.directory) == ["app"], "it climbed out of its directory")
        }
        try ReleaseArchive.unpack(spec, context)
    }

    private static func prepare(_ base: String, _ directory: String) throws {
        try? removeTree(base)
        for path in [base, "\(base)/releases", directory, "\(directory)/app"] {
            require(mkdir(path, 0o755) == 0 && chown(path, 65534, 65534) == 0, "\(path) cannot be made; run it as root")
        }
    }

    private static func names(_ path: String) -> [String] { (directoryNames(path) ?? []).sorted() }

    private static func removeTree(_ path: String) throws {
        try Subprocess.require(["rm", "-rf", "--", path], "Removing \(path)")
    }
}
