/// What would happen to a resource.
package enum ChangeAction: String, Hashable, Codable, Sendable, CaseIterable {
    case create
    case update
    case delete
    case start
    case stop
    case restart
    case reload
    /// An opaque command, whose effect only its probe can tell.
    case run
    /// Nothing is changed: a service is waited for until it serves.
    case verify
}

/// One attribute that differs. Values are for people: secrets never stand in them.
package struct Difference: Hashable, Codable, Sendable {
    package var attribute: String
    package var before: String?
    package var after: String?
    /// For text: a unified diff, where it can be shown.
    package var diff: String?

    package init(_ attribute: String, before: String?, after: String?, diff: String? = nil) {
        (self.attribute, self.before, self.after, self.diff) = (attribute, before, after, diff)
    }
}

/// The typed difference between a desired resource and what was observed.
package struct Change: Hashable, Codable, Sendable {
    package var action: ChangeAction
    package var differences: [Difference]

    package init(_ action: ChangeAction, _ differences: [Difference]) {
        (self.action, self.differences) = (action, differences)
    }
}

/// The answer of the pure diff: nothing to do and why, a change, or why it cannot be.
package enum Verdict: Hashable, Codable, Sendable {
    /// Already as desired.
    case satisfied(reason: String)
    case change(Change)
    /// It can never be reached here (a kernel setting that a container refuses): reported, not failed.
    case unreachable(reason: String)
}

/// A small collector that the kinds' diffs share.
package struct DifferenceList {
    package private(set) var all: [Difference] = []
    package init() {}

    /// Notes a difference where `before` and `after` are not equal.
    package mutating func compare<T: Equatable>(_ attribute: String, _ before: T, _ after: T) {
        if before != after { all.append(Difference(attribute, before: "\(before)", after: "\(after)")) }
    }

    /// Notes a difference where something is wanted and not so. A nil `wanted` means: leave it alone.
    package mutating func compareWanted<T: Equatable>(_ attribute: String, _ before: T?, wanted: T?) {
        guard let wanted, before != wanted else { return }
        all.append(Difference(attribute, before: before.map { "\($0)" }, after: "\(wanted)"))
    }

    package mutating func add(_ difference: Difference) { all.append(difference) }
    package var isEmpty: Bool { all.isEmpty }

    /// A satisfied verdict where nothing was noted, else a change.
    package func verdict(_ action: ChangeAction, satisfied reason: String) -> Verdict {
        all.isEmpty ? .satisfied(reason: reason) : .change(Change(action, all))
    }
}
