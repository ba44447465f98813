import BasculeModel

/// A node's facts for people. They are a stranger's words: escaped.
struct FactsView {
    let node: NodeName
    let facts: NodeFacts

    var lines: [String] {
        var out = [Terminal.paint("\(node)", .bold)]
        func add(_ name: String, _ value: String) {
            out.append("  \(name.padding(toLength: 10, withPad: " ", startingAt: 0)) \(Terminal.escape(value))")
        }
        add("system", "\(facts.systemName), kernel \(facts.kernel), \(facts.architecture)")
        add(
            "machine",
            "\(facts.processors) CPUs, \(facts.memory.bytesText) memory, \(facts.memoryAvailable.bytesText) available")
        for disk in facts.disks {
            add("disk", "\(disk.mount) \(disk.size.bytesText), \(disk.free.bytesText) free (\(disk.type))")
        }
        add("addresses", facts.addresses.joined(separator: ", "))
        add("services", (facts.services ?? []).joined(separator: ", "))
        add(
            "packages",
            "\(facts.packageCount); \(facts.packages.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))"
        )
        add("up", facts.uptime.durationText)
        return out
    }
}
