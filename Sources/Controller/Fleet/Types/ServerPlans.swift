/// A server that can be rented.
package struct ServerPlan: Sendable, Hashable, Codable {
    /// `hetzner-cx21`
    package var id: String
    package var provider: String
    package var name: String
    /// Euros a month.
    package var price: Double
    package var cpus: Int
    /// What the provider calls GB of memory and of disk.
    package var memoryGB: Int
    package var diskGB: Int
    /// When the price was read, and where.
    package var date: String
    package var source: String

    /// What Linux shows of it: firmware, the kernel's own reservations and its page table take some 5 %.
    package var usableMemory: Int { (memoryGB << 30) / 100 * 95 }
    package var title: String { "\(provider) \(name)" }
}

/// The price list. A price is what its source said at its date; look before you order.
package enum ServerPlans {
    private static let guide = "guide to the migration, recommended servers"

    package static let all = [
        ServerPlan(
            id: "hetzner-cx21", provider: "Hetzner", name: "CX21", price: 4.15, cpus: 2, memoryGB: 4, diskGB: 40,
            date: "2025", source: guide),
        ServerPlan(
            id: "ovh-starter", provider: "OVH", name: "Starter", price: 5, cpus: 2, memoryGB: 4, diskGB: 80,
            date: "2025", source: guide),
        ServerPlan(
            id: "scaleway-dev1-s", provider: "Scaleway", name: "DEV1-S", price: 5, cpus: 2, memoryGB: 4, diskGB: 20,
            date: "2025", source: guide),
        ServerPlan(
            id: "digitalocean-basic", provider: "DigitalOcean", name: "Basic", price: 6, cpus: 1, memoryGB: 1,
            diskGB: 25, date: "2025", source: guide),
    ]

    package static func plan(_ id: String) -> ServerPlan? { all.first { $0.id == id } }
}
