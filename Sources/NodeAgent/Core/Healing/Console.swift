import BasculeModel
import BasculeProtocol

/// The node's own console, for the night on which the workstation is gone.
struct Console {
    let paths: AgentPaths

    func run(_ arguments: [String]) throws {
        var words = Array(arguments.dropFirst())
        switch arguments.first {
        case "status":
            let json = try take("--json", from: &words)
            try end(words)
            try status(json: json)
        case "now":
            try end(words)
            try now()
        case "hold":
            let seconds = try duration(from: &words)
            try hold(try resource(&words), seconds)
        case "release":
            let resource = try resource(&words)
            try ask(.release(resource))
            print("released: \(resource.map(\.rawValue) ?? "everything that was held")")
            print("next: bascule-agent status")
        case "undo":
            try end(words)
            try undo()
        case "rollback":
            try end(words)
            try rollback()
        default: throw Self.usage
        }
    }

    // MARK: - Words

    private static let usage = BasculeError(
        .invalidInput, "this is not a command of the agent", hint: "bascule-agent help lists them")

    private func take(_ flag: String, from words: inout [String]) throws -> Bool {
        guard let index = words.firstIndex(of: flag) else { return false }
        words.remove(at: index)
        return true
    }

    private func end(_ words: [String]) throws { if !words.isEmpty { throw Self.usage } }

    private func resource(_ words: inout [String]) throws -> ResourceID? {
        let first = words.isEmpty ? nil : words.removeFirst()
        try end(words)
        guard let first else { return nil }
        guard !first.hasPrefix("-") else { throw Self.usage }
        return try resolve(first)
    }

    private func duration(from words: inout [String]) throws -> Double? {
        guard let index = words.firstIndex(of: "--for") else { return nil }
        guard index + 1 < words.count, let seconds = Self.seconds(words[index + 1]) else {
            throw BasculeError(.invalidInput, "--for wants a time such as 30m, 2h or 1d")
        }
        words.removeSubrange(index...(index + 1))
        return seconds
    }

    /// `90s`, `30m`, `2h`, `1d`; nil for anything else.
    static func seconds(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let number = Int(text.dropLast()), number > 0,
            number < 1_000_000
        else { return nil }
        return Double(number) * unit
    }

    /// A whole id, or without the node's name, which every resource here shares.
    private func resolve(_ text: String) throws -> ResourceID {
        if text.contains("/"), text.split(separator: "/", maxSplits: 1)[0].contains(":") == false, !text.hasPrefix("/")
        {
            return ResourceID(rawValue: text)
        }
        guard let node = try node() else { return ResourceID(rawValue: text) }
        return ResourceID(
            rawValue: text.contains(":") && !text.hasPrefix("/") ? "\(node)/\(text)" : "\(node)/file:\(text)")
    }

    /// What the fleet file calls this node, as far as the heal set tells.
    private func node() throws -> String? {
        let set = try DurableFile.load(HealSet.self, from: paths.healSet)
        return (set?.entries.keys.first?.rawValue.split(separator: "/").first).map(String.init)
    }

    // MARK: - Asking

    @discardableResult
    private func ask(_ request: Request) throws -> Reply { try LocalClient.ask(request, paths: paths) }

    private func state() throws -> AgentStatus {
        guard case .status(let status) = try ask(.status) else {
            throw BasculeError(.protocolViolation, "the agent did not tell its status")
        }
        return status
    }

    private func status(json: Bool) throws {
        let status = try state()
        if json { return print(String(decoding: try Wire.encode(status), as: UTF8.self)) }
        for line in ConsoleText.status(status, now: WallClock.now()) { print(line) }
    }

    private func now() throws {
        let status = try state()
        for line in ConsoleText.verdict(status, now: WallClock.now()) { print(line) }
    }

    private func hold(_ resource: ResourceID?, _ seconds: Double?) throws {
        try ask(.hold(resource, seconds: seconds, reason: "root on the node's console"))
        let what = resource.map(\.rawValue) ?? "the whole node"
        print("\(what) is left alone \(seconds.map { "for \(ConsoleText.duration($0))" } ?? "until it is released")")
        print("next: bascule-agent release\(resource.map { " \($0)" } ?? "") ends it")
    }

    private func undo() throws {
        guard case .snapshots(let all) = try ask(.snapshots), let last = all.last else {
            throw BasculeError(
                .unknownSegment, "this node has no configuration snapshot", hint: "nothing was applied here yet")
        }
        let active = try state().activities.filter { $0.ended == nil }
        guard active.isEmpty else {
            throw BasculeError(
                .unsupported, "segment \(active[0].segment) is running",
                hint: "wait for its end, or bascule-agent rollback if it is the migration's")
        }
        guard case .restored(let results) = try ask(.restore(last.segment)) else { return }
        for (id, what) in results.sorted(by: { $0.key < $1.key }) { print("\(id)  \(what)") }
        print("\(results.count) resources of \(last.segment), applied \(ConsoleText.ago(last.time, WallClock.now()))")
        print("next: bascule-agent status; an apply from the workstation goes forward again")
    }

    private func rollback() throws {
        guard let running = try state().activities.last(where: { $0.conducted && $0.ended == nil }) else {
            throw BasculeError(
                .unknownSegment, "no migration is conducted by this node at present",
                hint: "bascule-agent now says what runs; after T0 only bascule rollback goes back")
        }
        try ask(.command(running.segment, .rollback))
        print("segment \(running.segment) goes back: the old system serves again when it has ended")
        print("next: bascule-agent now")
    }
}
