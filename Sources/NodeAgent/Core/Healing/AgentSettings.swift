import BasculeModel
import FoundationEssentials

/// What an administrator may set for the agent of one node, in `/var/lib/bascule/settings.json`. Read when the agent
/// starts; what is not there has its default.
package struct AgentSettings: Codable, Sendable {
    /// Seconds that healing waits after the end of a login session that was open when a difference appeared.
    package var sessionGrace: Double
    /// Seconds without a heal after which a resource's earlier heals are forgotten.
    package var backoffQuiet: Double
    /// Seconds between two attempts at a resource that fights back, at most.
    package var backoffCap: Double
    /// Heals a minute over all resources, at most.
    package var healsPerMinute: Double
    /// Bytes that must stay free where the agent's state is; nil for a fiftieth of the disk, at most 512 MiB.
    package var diskFloor: Int?
    /// Bytes of the reserve file; nil for a fiftieth of the disk, at most 64 MiB.
    package var diskReserve: Int?

    package init(
        sessionGrace: Double = 600, backoffQuiet: Double = 60, backoffCap: Double = 900,
        healsPerMinute: Double = 6000, diskFloor: Int? = nil, diskReserve: Int? = nil
    ) {
        (self.sessionGrace, self.backoffQuiet, self.backoffCap) = (sessionGrace, backoffQuiet, backoffCap)
        (self.healsPerMinute, self.diskFloor, self.diskReserve) = (healsPerMinute, diskFloor, diskReserve)
    }

    package init(from decoder: any Decoder) throws {
        let box = try decoder.container(keyedBy: CodingKeys.self)
        let plain = AgentSettings()
        func number(_ key: CodingKeys, _ value: Double) throws -> Double {
            max(0, try box.decodeIfPresent(Double.self, forKey: key) ?? value)
        }
        sessionGrace = try number(.sessionGrace, plain.sessionGrace)
        backoffQuiet = try number(.backoffQuiet, plain.backoffQuiet)
        backoffCap = try number(.backoffCap, plain.backoffCap)
        healsPerMinute = try number(.healsPerMinute, plain.healsPerMinute)
        diskFloor = try box.decodeIfPresent(Int.self, forKey: .diskFloor)
        diskReserve = try box.decodeIfPresent(Int.self, forKey: .diskReserve)
    }

    /// The node's settings; the defaults where the file cannot be understood, which is said.
    static func load(_ path: String) -> AgentSettings {
        do { return try DurableFile.load(AgentSettings.self, from: path) ?? AgentSettings() } catch {
            StandardError.write(line: "\(path) is not used: \(BasculeError.wrapping(error, "unreadable").message)")
            return AgentSettings()
        }
    }
}
