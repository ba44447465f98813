import BasculeModel
import BasculeResources
import Glibc

/// Replaces the running program by an uploaded one. The upload's hash was checked when it arrived.
enum Upgrade {
    static func install(_ digest: Digest, paths: AgentPaths) throws {
        guard let bytes = try DurableFile.read("\(paths.blobs)/\(digest.rawValue)") else {
            throw BasculeError(.invalidInput, "the program \(digest) was not uploaded")
        }
        let previous = "\(AgentPaths.program).previous"
        unlink(previous)
        link(AgentPaths.program, previous)
        try DurableFile.write(bytes, to: AgentPaths.program, mode: 0o755)
        // A program that does not even tell its version never gets to run as the agent.
        let outcome = try Subprocess.run([AgentPaths.program, "version"], Subprocess.Options())
        guard outcome.status == 0 else {
            rename(previous, AgentPaths.program)
            throw BasculeError(
                .commandFailed, "the uploaded program does not run here", cause: outcome.cause(),
                hint: "the previous one goes on")
        }
        unlink("\(paths.blobs)/\(digest.rawValue)")
        // systemd starts the new program as soon as this one has answered and ended.
        Thread.detach {
            usleep(200_000)
            exit(0)
        }
    }
}
