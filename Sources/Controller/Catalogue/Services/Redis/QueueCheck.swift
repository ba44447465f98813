import BasculeFleet
import BasculeModel
import Foundation

/// Queues on an instance that evicts: a job that is dropped was promised to somebody.
extension Compilation {
    /// Libraries whose jobs live in Redis and that ask for `noeviction`.
    private static var queueLibraries: [String] { ["bullmq", "bull", "bee-queue", "@nestjs/bull", "@nestjs/bullmq"] }

    /// Refuses an app whose queue would stand on the evicting instance.
    func checkQueues() throws {
        guard let cache = fleet.services.redis?.cache, cache.policy != .noeviction else { return }
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            let bound = app.env.filter { binds($0.value, .cache) }.keys.sorted()
            guard !bound.isEmpty else { continue }
            let hasDurable = app.env.values.contains { binds($0, .durable) }
            let named = bound.first { variable in
                variable.uppercased().split(separator: "_").contains {
                    ["BULL", "BULLMQ", "QUEUE", "QUEUES"].contains($0)
                }
            }
            // An app with both instances keeps its queue where it belongs, as far as the variables' names tell.
            let library = hasDurable ? nil : queueLibrary(of: app)
            guard let variable = named ?? (library == nil ? nil : bound.first) else { continue }
            let why = library.map { "its package.json or lock file depends on \($0)" } ?? "the variable is a queue's"
            throw BasculeError(
                .catalogueEviction,
                "app \(name) has a queue on redis.cache, which evicts jobs when it is full (\(cache.policy.rawValue)): \(why)",
                at: place("apps.\(name).env.\(variable)"),
                hint: "bind redis.durable (noeviction, on disk): services: {redis: {durable: {}}}")
        }
    }

    private func binds(_ value: EnvValue, _ purpose: RedisPurpose) -> Bool {
        guard case .reference(.binding(let binding)) = value, case .redis(let bound) = binding.target else {
            return false
        }
        return bound == purpose
    }

    /// What the app's own folder says; sources elsewhere are not read.
    private func queueLibrary(of app: App) -> String? {
        guard case .path(let path) = app.source, !path.isEmpty else { return nil }
        let folder = path.hasPrefix("/") ? path : "\(fleet.folder)/\(path)"
        if let data = small("\(folder)/package.json"),
            let package = try? JSONDecoder().decode(PackageFile.self, from: data)
        {
            let all = (package.dependencies ?? [:]).merging(package.optionalDependencies ?? [:]) { own, _ in own }
            if let found = Self.queueLibraries.first(where: { all[$0] != nil }) { return found }
        }
        let locks = ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"]
        for lock in locks {
            guard let data = small("\(folder)/\(lock)") else { continue }
            let text = String(decoding: data, as: UTF8.self)
            for library in Self.queueLibraries {
                let marks = [
                    "\"node_modules/\(library)\"", "\n\(library)@", "\n\"\(library)@", "\n  \(library)@",
                    "/\(library)@",
                ]
                if marks.contains(where: { text.contains($0) }) { return library }
            }
        }
        return nil
    }

    /// A file of at most 32 MiB.
    private func small(_ path: String) -> Data? {
        let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int
        guard let size, size <= 32 << 20 else { return nil }
        return FileManager.default.contents(atPath: path)
    }

    private struct PackageFile: Decodable {
        var dependencies: [String: String]?
        var optionalDependencies: [String: String]?
    }
}
