import BasculeModel
import BasculeResources
import Glibc

/// A temporary directory of a test's own, and a context whose state lies in it.
final class Workshop: Sendable {
    let path: String
    let context: NodeContext

    init(secrets: [SecretName: String] = [:]) throws {
        var template = Array("/var/tmp/bascule-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BasculeError(.inputOutput, "no temporary directory") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.path = path
        context = NodeContext(
            stateDirectory: "\(path)/state",
            resolve: { name in
                guard let value = secrets[name] else { throw BasculeError(.missingPrerequisite, "no secret \(name)") }
                return Secret(value)
            }, nodeKey: [1, 2, 3], blobPath: { "\(path)/blobs/\($0)" })
    }

    deinit { _ = try? Subprocess.run(["rm", "-rf", "--", path]) }

    /// Observes one resource, applies its change, and tells whether nothing is left to do.
    func converge(_ resource: Resource) throws -> Bool {
        let desired = DesiredResource(resource, on: "n", origin: "test")
        guard case .change(let change) = verdict(resource) else { return false }
        try ResourceKeeper.apply([(desired, change)], context)
        if case .satisfied = verdict(resource) { return true }
        return false
    }

    func verdict(_ resource: Resource) -> Verdict { resource.verdict(observe(resource).observed) }

    func observe(_ resource: Resource) -> Observation {
        ResourceKeeper.observe([DesiredResource(resource, on: "n", origin: "test")], context)[0]
    }
}
