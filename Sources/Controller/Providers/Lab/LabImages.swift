import BasculeModel
import Foundation
import Glibc

/// The cache of base images and layers. An image is built beside its place and renamed into it, by one builder at a
/// time; it is never changed afterwards.
struct LabImages: Sendable {
    let paths: LabPaths
    let progress: LabProgress

    /// Package indexes older than this name packages that the archive may no longer have.
    private static let maximumAge: TimeInterval = 7 * 86_400

    /// The directories of an image, topmost first; built when missing or too old.
    func lower(for image: LabImage) async throws -> [String] {
        let recipe = try await Self.recipe(for: image.base)
        let base = try await ensure(key: recipe.key, description: recipe.text) { target in
            try await LabImageBuilder(cgroup: LabImageBuilder.cgroup(home: paths.home), progress: progress).buildBase(
                recipe, into: target)
        }
        if image.install.isEmpty && image.download.isEmpty { return ["\(base)/root"] }
        let name = String(base.split(separator: "/").last ?? "")
        let key = LabRecipe.layerKey(base: name, image: image)
        let text = "base: \(name)\ninstall: \(image.install)\ndownload: \(image.download)\n"
        let layer = try await ensure(key: key, description: text) { target in
            try await LabImageBuilder(cgroup: LabImageBuilder.cgroup(home: paths.home), progress: progress).buildLayer(
                image, base: "\(base)/root", into: target)
        }
        return ["\(layer)/upper", "\(base)/root"]
    }

    /// A recipe from this host's own package sources.
    static func recipe(for release: LabRelease) async throws -> LabRecipe {
        let lists = LabFiles.list("/etc/apt/sources.list.d").map { "/etc/apt/sources.list.d/\($0)" }
        let files = (["/etc/apt/sources.list"] + lists).compactMap { path in
            LabFiles.read(path).map { (path: path, text: $0) }
        }
        guard let host = codename(inRelease: LabFiles.read("/etc/os-release") ?? ""),
            let sources = AptSources.translate(files: files, host: host, image: release.codename)
        else {
            throw BasculeError(
                .labUnavailable, "this machine's apt has none of Debian's own archives to build images from",
                hint: "Run the lab on Debian, with an entry for its archive in /etc/apt/sources.list.d.")
        }
        let dump = try await Command.run(["apt-config", "dump"]).requireSuccess("reading apt's configuration")
        return LabRecipe(release: release, sources: sources, aptSettings: AptSources.settings(fromDump: dump.text))
    }

    static func codename(inRelease text: String) -> String? {
        text.split(separator: "\n").first { $0.hasPrefix("VERSION_CODENAME=") }.map {
            String($0.dropFirst(17)).trimmingCharacters(in: CharacterSet(charactersIn: "\"' "))
        }
    }

    private func ensure(
        key: String, description: String, build: (String) async throws -> Void
    ) async throws -> String {
        if let found = newest(key), found.age < Self.maximumAge { return found.path }
        return try await FileLock.with(paths.imageBuildLock, patience: .seconds(900)) {
            progress("waiting for another builder of images")
        } _: {
            let found = newest(key)
            if let found, found.age < Self.maximumAge { return found.path }
            // A builder that was killed leaves mmdebstrap running: end it before its directory goes.
            try await LabImageBuilder.cgroup(home: paths.home).kill(supervisor: nil)
            for leftover in LabFiles.list(paths.images) where leftover.hasPrefix(".building-") {
                try await LabFiles.removeTree("\(paths.images)/\(leftover)")
            }
            let target = "\(paths.images)/.building-\(key)"
            do {
                try LabFiles.makeDirectory(target)
                try LabFiles.write(description, to: "\(target)/recipe.txt")
                try await build(target)
            } catch {
                try? await uncancelled {
                    let cgroup = LabImageBuilder.cgroup(home: paths.home)
                    try await cgroup.kill(supervisor: nil)
                    await cgroup.remove()
                    try await LabFiles.removeTree(target)
                }
                // Without a network an old image is better than none; a fresh machine has no such choice.
                guard let found, !(error is CancellationError), (error as? BasculeError)?.code != .cancelled else {
                    throw error
                }
                progress("could not renew the image \(key), using the old one: \(error)")
                return found.path
            }
            let place = "\(paths.images)/\(key)-\(Int(Date().timeIntervalSince1970))"
            await LabImageBuilder.cgroup(home: paths.home).remove()
            guard rename(target, place) == 0 else { throw LabFiles.failure("could not be put in place", place) }
            try await prune()
            return place
        }
    }

    /// The newest finished image of this key; the end of its name is when it was built.
    private func newest(_ key: String) -> (path: String, age: TimeInterval)? {
        let times = LabFiles.list(paths.images).compactMap { name -> Int? in
            name.hasPrefix("\(key)-") ? Int(name.dropFirst(key.count + 1)) : nil
        }
        return times.max().map { time in
            ("\(paths.images)/\(key)-\(time)", Date().timeIntervalSince1970 - TimeInterval(time))
        }
    }

    /// Removes images past their age that no node and no kept layer stands on. Called with the build lock held.
    private func prune() async throws {
        _ = try await FileLock.tryWith(paths.imageUseLock) {
            let inUse = paths.labNames().flatMap(paths.loadNodes(of:)).flatMap(\.lower)
            for name in LabFiles.list(paths.images) where !name.hasPrefix(".") {
                guard let time = name.split(separator: "-").last.flatMap({ TimeInterval($0) }),
                    Date().timeIntervalSince1970 - time > Self.maximumAge
                else { continue }
                if inUse.contains(where: { $0.hasPrefix("\(paths.images)/\(name)/") }) { continue }
                progress("removing the old image \(name)")
                try await LabFiles.removeTree("\(paths.images)/\(name)")
            }
        }
    }
}
