import BasculeModel
import BasculeResources
import Glibc

/// SSH key pairs that the agent makes for one narrow purpose each, such as telling the old edge its three words.
enum ConductorKey {
    static func path(_ purpose: String, paths: AgentPaths) -> String { "\(paths.keys)/\(purpose)" }

    /// The public line of the pair, which is made if there is none yet.
    static func publicLine(_ purpose: String, paths: AgentPaths) throws -> String {
        guard !purpose.isEmpty, purpose.utf8.allSatisfy({ ($0 >= 97 && $0 <= 122) || $0 == 45 }) else {
            throw BasculeError(.invalidInput, "a key's purpose is made of lower-case letters and dashes")
        }
        let path = path(purpose, paths: paths)
        if access("\(path).pub", F_OK) != 0 {
            unlink(path)
            try Subprocess.require(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bascule \(purpose)", "-f", path],
                "making a key with ssh-keygen")
        }
        let line = String(decoding: try DurableFile.read("\(path).pub") ?? [], as: UTF8.self)
        return String(line.split(separator: "\n").first ?? "")
    }
}
