import Glibc

/// Half-written files that an agent which was killed left in its own directories: uploads, and temporary files whose
/// rename never came. Nothing refers to them.
enum Leftovers {
    private static let endings = [".new", ".part", ".bascule-new"]

    /// Removes them. Only before anything is written: afterwards one could be somebody's work.
    static func remove(below directory: String) {
        guard let handle = opendir(directory) else { return }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let path = "\(directory)/\(name)"
            if entry.pointee.d_type == UInt8(DT_DIR), name != ".", name != ".." { remove(below: path) }
            if entry.pointee.d_type == UInt8(DT_REG), endings.contains(where: name.hasSuffix) { unlink(path) }
        }
    }
}
