import BasculeModel
import Foundation

extension FleetChecks {
    /// Libraries of an app that speak to a rented service over HTTP, and what to do about them.
    private static let clients: [(package: String, answer: String)] = [
        (
            "@supabase/supabase-js",
            "it talks to Supabase's API, also from browsers that hold its anon key, whatever DNS says: bring that API "
                + "(PostgREST, GoTrue) as an app, or read the database directly"
        ),
        ("@supabase/ssr", "it talks to Supabase's API: bring that API as an app, or replace it"),
        ("@supabase/auth-helpers-nextjs", "it talks to Supabase's API: bring that API as an app, or replace it"),
        (
            "@upstash/redis",
            "it talks HTTP to Upstash: use a client of Redis's own protocol (ioredis, redis), which takes "
                + "!binding redis.cache"
        ),
        ("@upstash/ratelimit", "it talks HTTP to Upstash: use a limiter over Redis's own protocol"),
        ("@vercel/kv", "it talks HTTP to Upstash: use a client of Redis's own protocol"),
    ]

    /// Names what in the apps goes on talking to the old services after the switch.
    func clients(_ fleet: Fleet) {
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            guard case .path(let folder) = app.source, !folder.isEmpty else { continue }
            let whole = folder.hasPrefix("/") ? folder : fleet.folder + "/" + folder
            let path = whole + "/package.json"
            guard let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int, size < 1 << 20,
                let data = FileManager.default.contents(atPath: path),
                let manifest = try? JSONDecoder().decode(Manifest.self, from: data)
            else { continue }
            for client in Self.clients where manifest.dependencies?[client.package] != nil {
                reader.warning(
                    "the app \(quoted(name.rawValue)) uses \(client.package)", at: value("apps.\(name).source.path"),
                    hint: client.answer)
            }
        }
    }

    private struct Manifest: Decodable {
        var dependencies: [String: String]?
    }
}
