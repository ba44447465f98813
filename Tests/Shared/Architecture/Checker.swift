/// What the rules have against a set of source files: a pure function, so that a planted violation proves it.
struct Checker {
    struct SourceFile {
        /// From the package's root.
        let path: String
        let text: String

        var lines: Int {
            text.split(separator: "\n", omittingEmptySubsequences: false).count - (text.hasSuffix("\n") ? 1 : 0)
        }
        var folder: Substring { path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex) }
    }

    /// No file is longer; who needs more has two subjects in it.
    static let longestFile = 400
    /// A main only hands over.
    static let longestMain = 60

    /// One sentence each, with file and line; empty when all is well.
    static func violations(in files: [SourceFile], layers: [Layer] = Layer.all) -> [String] {
        files.flatMap { file in
            lengthViolations(of: file) + (file.path.hasPrefix("Sources/") ? importViolations(of: file, layers) : [])
        }
    }

    private static func lengthViolations(of file: SourceFile) -> [String] {
        let limit = file.folder.hasPrefix("Sources/") && file.folder.hasSuffix("/Main") ? longestMain : longestFile
        return file.lines > limit ? ["\(file.path): \(file.lines) lines, at most \(limit) are allowed"] : []
    }

    private static func importViolations(of file: SourceFile, _ layers: [Layer]) -> [String] {
        guard let layer = layers.first(where: { file.path.hasPrefix($0.folder + "/") }) else {
            return ["\(file.path): belongs to no module that the table knows"]
        }
        return ImportReader.imports(of: file.text).compactMap { found in
            if Layer.system.contains(found.module) || layer.ours.contains(found.module) { return nil }
            if layer.others.contains(found.module) { return nil }
            if found.module == "Foundation" && layer.mayUseFoundation { return nil }
            let hint = found.module == "Foundation" ? "; FoundationEssentials is allowed" : ""
            return "\(file.path):\(found.line): \(layer.module) may not import \(found.module)\(hint)"
        }
    }
}
