import Mustache

/// Notes lookups that found nothing: mustache itself renders them as nothing.
///
/// A lookup climbs from the innermost section to the root, asking each level for the same name; a dotted name asks its
/// last part only once. A miss counts once the next question is not the same one further out.
final class LookupLog {
    private var pending: String?
    private(set) var missing: [String] = []

    func asked(_ name: String, found: Bool, isRoot: Bool) {
        if pending != name { settle() }
        pending = found ? nil : name
        if isRoot { settle() }
    }

    /// What is still pending is missing.
    func settle() {
        if let name = pending, !missing.contains(name) { missing.append(name) }
        pending = nil
    }
}

/// A map of variables whose misses are noted.
struct StrictMap: MustacheParent {
    var values: [String: Any]
    var log: LookupLog
    var isRoot = false

    func child(named name: String) -> Any? {
        let value = values[name]
        log.asked(name, found: value != nil, isRoot: isRoot)
        return value
    }
}
