import BasculeModel
import Glibc

/// Symbolic links.
enum SymlinkKeeper {
    static func observe(_ spec: SymlinkSpec) throws -> SymlinkObserved {
        guard let parent = try ParentDirectory.find(spec.path), let status = try parent.status() else {
            return SymlinkObserved(type: .nothing)
        }
        let type = PathType(status)
        return SymlinkObserved(type: type, target: type == .symlink ? try parent.linkTarget() : nil)
    }

    static func apply(_ spec: SymlinkSpec) throws {
        let seen = try observe(spec)
        guard seen.type == .nothing || seen.type == .symlink else {
            throw BasculeError(
                .invalidInput, "A \(seen.type.rawValue) stands where a link is to be", at: .thing(spec.path),
                hint: "move it away, then apply again")
        }
        switch spec.state {
        case .present: try AtomicFile.link(spec.path, to: spec.target)
        case .absent: try ParentDirectory.find(spec.path)?.remove()
        }
    }
}
