import BasculeModel

/// The host's package sources, made to fit an image's release.
enum AptSources {
    /// What Debian's own archive adds to a codename; anything else belongs to somebody else's archive.
    private static let pockets = ["", "-updates", "-security", "-backports"]

    /// Debian's own archives among the host's sources, for another release, as one deb822 text.
    /// - Parameters:
    ///   - files: path and text of `sources.list` and of each file in `sources.list.d`.
    ///   - host: the host's codename, such as `bookworm`.
    ///   - image: the image's.
    /// - Returns: nil if the host has none of Debian's archives.
    static func translate(files: [(path: String, text: String)], host: String, image: String) -> String? {
        let stanzas = files.flatMap { file in
            file.path.hasSuffix(".sources") ? deb822(file.text) : file.path.hasSuffix(".list") ? oneLine(file.text) : []
        }
        var seen: Set<String> = []
        let translated = stanzas.compactMap { stanza in translate(stanza, host: host, image: image) }
            .filter { seen.insert($0).inserted }
        return translated.isEmpty ? nil : translated.joined(separator: "\n")
    }

    /// A stanza's fields in order; continuation lines belong to the value.
    typealias Stanza = [(name: String, value: String)]

    static func deb822(_ text: String) -> [Stanza] {
        var stanzas: [Stanza] = []
        var current: Stanza = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") { continue }
            if line.allSatisfy(\.isWhitespace) {
                if !current.isEmpty { stanzas.append(current) }
                current = []
            } else if line.first?.isWhitespace == true, !current.isEmpty {
                current[current.count - 1].value += "\n\(line)"
            } else if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].drop(while: \.isWhitespace)
                current.append((String(line[..<colon]), String(value)))
            }
        }
        if !current.isEmpty { stanzas.append(current) }
        return stanzas
    }

    /// `deb [options] URI SUITE COMPONENT…` as stanzas.
    static func oneLine(_ text: String) -> [Stanza] {
        text.split(separator: "\n").compactMap { line -> Stanza? in
            var words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
            guard words.first == "deb" else { return nil }
            words.removeFirst()
            var signedBy: String?
            if words.first?.hasPrefix("[") == true {
                while let word = words.first {
                    words.removeFirst()
                    let option = word.drop { $0 == "[" }.prefix { $0 != "]" }
                    if option.hasPrefix("signed-by=") { signedBy = String(option.dropFirst(10)) }
                    if word.hasSuffix("]") { break }
                }
            }
            guard words.count >= 3 else { return nil }
            var stanza: Stanza = [
                ("Types", "deb"), ("URIs", words[0]), ("Suites", words[1]),
                ("Components", words[2...].joined(separator: " ")),
            ]
            if let signedBy { stanza.append(("Signed-By", signedBy)) }
            return stanza
        }
    }

    private static func translate(_ stanza: Stanza, host: String, image: String) -> String? {
        func value(_ name: String) -> String? { stanza.first { $0.name.lowercased() == name }?.value }
        func words(_ name: String) -> [String] {
            (value(name) ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        }
        if value("enabled")?.lowercased() == "no" || !words("types").contains("deb") { return nil }
        guard words("components").contains("main"), let uris = value("uris") else { return nil }
        // Another vendor's archive can use the same suite names; its key gives it away.
        if let key = value("signed-by"), key.contains("/"), !key.contains("debian-archive") { return nil }
        let suites = words("suites").compactMap { suite -> String? in
            guard suite.hasPrefix(host), pockets.contains(String(suite.dropFirst(host.count))) else { return nil }
            return image + suite.dropFirst(host.count)
        }
        guard !suites.isEmpty else { return nil }
        var lines = [
            "Types: deb", "URIs: \(uris)", "Suites: \(suites.joined(separator: " "))",
            "Components: \(words("components").joined(separator: " "))",
        ]
        if let key = value("signed-by") { lines.append("Signed-By: \(key)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The host's apt settings without which an image could not reach its archive, from `apt-config dump`.
    static func settings(fromDump dump: String) -> String {
        let wanted = [
            "Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv",
        ]
        let kept = dump.split(separator: "\n").filter { line in
            wanted.contains { line.hasPrefix($0) } && line.hasSuffix("\";") && !line.hasSuffix("\"\";")
                // A proxy on the host's loopback cannot be reached from a node.
                && !line.contains("//127.") && !line.contains("//localhost") && !line.contains("//[::1]")
        }
        return (["Acquire::Languages \"none\";"] + kept.map(String.init)).joined(separator: "\n") + "\n"
    }
}
