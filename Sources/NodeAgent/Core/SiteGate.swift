import BasculeModel
import Glibc

/// The flag files by which Nginx knows, request by request and without a reload, whether a domain is closed.
enum SiteGate {
    /// Read by Nginx's workers, hence not under the agent's own directory.
    static let directory = "/etc/nginx/bascule"

    static func flag(_ domain: String) -> String { "\(directory)/maintenance-\(domain)" }

    /// Opens or closes the domains; the flags survive a power cut.
    static func set(_ domains: [String], open: Bool) throws {
        try DurableFile.makeDirectory(directory, mode: 0o755)
        for domain in domains {
            if open {
                if unlink(flag(domain)) != 0, errno != ENOENT { throw DurableFile.failure("remove", flag(domain)) }
                try DurableFile.syncDirectory(of: flag(domain))
            } else {
                try DurableFile.write([], to: flag(domain), mode: 0o644)
            }
        }
    }
}
