import BasculeModel

/// The resources of one node. Equal ones merge; different ones under one id are an error that names both origins.
struct NodeResources {
    private var known: [ResourceID: DesiredResource] = [:]

    var sorted: [DesiredResource] { known.values.sorted { $0.id < $1.id } }
    var all: [DesiredResource] { Array(known.values) }

    mutating func add(_ new: DesiredResource) throws {
        guard var old = known[new.id] else {
            known[new.id] = new
            return
        }
        guard let merged = Self.merge(old.resource, new.resource) else {
            throw BasculeError(
                .catalogueConflict, "\(old.origin) and \(new.origin) want \(new.id) to be different things",
                at: .thing(new.id.rawValue), hint: "remove one of them, or make them equal")
        }
        old.resource = merged
        old.requires += new.requires.filter { !old.requires.contains($0) }
        if !old.origin.split(separator: ", ").contains(Substring(new.origin)) { old.origin += ", \(new.origin)" }
        known[new.id] = old
    }

    /// One resource that is both; nil where they contradict each other.
    static func merge(_ left: Resource, _ right: Resource) -> Resource? {
        if left == right { return left }
        switch (left, right) {
        case (.unit(let left), .unit(let right)): return merge(left, right).map { .unit($0) }
        default: return nil
        }
    }

    /// Units of a service often get one more drop-in or watched file from the fleet file.
    private static func merge(_ left: UnitSpec, _ right: UnitSpec) -> UnitSpec? {
        func one<Value: Equatable>(_ left: Value?, _ right: Value?) -> Value?? {
            guard let left, let right else { return .some(left ?? right) }
            return left == right ? .some(left) : nil
        }
        guard left.masked == right.masked, let state = one(left.state, right.state),
            let enabled = one(left.enabled, right.enabled), let content = one(left.content, right.content),
            let check = one(left.check, right.check),
            left.dropIns.allSatisfy({ right.dropIns[$0.key] == nil || right.dropIns[$0.key] == $0.value })
        else { return nil }
        var merged = left
        (merged.state, merged.enabled, merged.content, merged.check) = (state, enabled, content, check)
        merged.dropIns.merge(right.dropIns) { kept, _ in kept }
        merged.reloadOn += right.reloadOn.filter { !left.reloadOn.contains($0) }
        merged.restartOn += right.restartOn.filter { !left.restartOn.contains($0) }
        return merged
    }
}
