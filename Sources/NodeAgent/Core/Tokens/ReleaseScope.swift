import BasculeCrypto
import BasculeModel
import BasculeProtocol

/// What a release by token may change of what a node accepted: the archive, and the digest that follows from it. Pure.
struct ReleaseScope {
    /// The release and the app as they were accepted, and as they are to be.
    var before: [DesiredResource]
    var after: [DesiredResource]
    var app: AppSpec
    var release: Digest

    /// Throws `token-refused` where the node keeps no such app, and `invalid-input` for an archive of no or too large a
    /// size.
    init(app name: String, archive: Digest, size: Int, accepted: some Collection<DesiredResource>) throws {
        guard size > 0, size <= TokenRules.largestArchive, Hex.decode(archive.rawValue)?.count == 32 else {
            throw BasculeError(
                .invalidInput, "an archive has 1 to \(TokenRules.largestArchive >> 20) MiB, this one has \(size) bytes",
                hint: "leave out what the build makes or fetches")
        }
        var (releases, apps): ([(DesiredResource, ReleaseSpec)], [(DesiredResource, AppSpec)]) = ([], [])
        for desired in accepted {
            switch desired.resource {
            case .release(let spec) where spec.app == name: releases.append((desired, spec))
            case .app(let spec) where spec.app == name: apps.append((desired, spec))
            default: break
            }
        }
        guard releases.count == 1, apps.count == 1, let old = releases.first, let running = apps.first,
            let recipe = old.1.recipe
        else {
            throw BasculeError(
                .tokenRefused, "this node does not run the app \(name)",
                hint: "the first release of an app is an apply's")
        }
        let digest = Digest(of: ReleaseSpec.canonical(archive: archive, recipe: recipe))
        var (spec, target) = (old.1, running.1)
        (spec.archive, spec.release, target.release) = (.blob(archive, size: size), digest, digest)
        var (newRelease, newApp) = (old.0, running.0)
        (newRelease.resource, newApp.resource) = (.release(spec), .app(target))
        before = [old.0, running.0]
        after = [newRelease, newApp]
        app = target
        release = digest
    }

    /// Both resources' ids, which an exchange does not change.
    var ids: [ResourceID] { before.map(\.id) }
    /// The node's name, which every id begins with.
    var node: NodeName { NodeName(String(before[0].id.rawValue.prefix { $0 != "/" })) }
}
