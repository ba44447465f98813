import BasculeModel

/// What may be kept of an error's text, and what makes two messages one.
enum ErrorText {
    /// The message with what changes from one error to the next taken out; at most 200 characters.
    static func normalised(_ message: String) -> String {
        var out = ""
        for piece in Piece.split(message.prefix(2000)) {
            out += piece.isWord ? general(piece.text) : String(piece.text)
            if out.utf8.count > 1000 { break }
        }
        return String(out.prefix(200))
    }

    private static func general(_ word: Substring) -> String {
        if word.contains("://") { return "<url>" }
        if isAddressOfMail(word) { return "<email>" }
        let bytes = Array(word.utf8)
        let hasDigit = bytes.contains(where: isDigit)
        guard hasDigit else { return String(word) }
        let hex = bytes.filter { $0 != UInt8(ascii: "-") }
        if bytes.count == 36, hex.count == 32, hex.allSatisfy(isHex) { return "<uuid>" }
        if isAddress(word) { return "<address>" }
        if bytes.count >= 8, bytes.allSatisfy(isHex), bytes.contains(where: { !isDigit($0) }) { return "<hex>" }
        if bytes.starts(with: Array("0x".utf8)) { return "<hex>" }
        if isOpaque(word, from: 20) { return "<token>" }
        var out: [UInt8] = []
        var inNumber = false
        for byte in bytes {
            if isDigit(byte) {
                if !inNumber { out += Array("<n>".utf8) }
                inNumber = true
            } else {
                out.append(byte)
                inNumber = false
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The text without passwords, tokens and customers' addresses.
    /// - Parameter secrets: values that are known to be secret.
    static func redacted(_ text: String, secrets: [String]) -> String {
        var text = text
        for secret in secrets { text = text.replacing(secret, with: "‹secret›") }
        var out = ""
        var last = ""
        var between = ""
        for piece in Piece.split(text[...]) {
            guard piece.isWord, piece.text != ":" else {
                between += piece.text
                out += piece.text
                continue
            }
            let isValue = between.contains("=") || between.contains(":") || last.hasSuffix(":")
            let key = last.lowercased()
            let bare = key.hasSuffix(":") ? String(key.dropLast()) : key
            if ["bearer", "basic"].contains(bare) || (isValue && isSensitive(bare)) {
                out += ["bearer", "basic"].contains(piece.text.lowercased()) ? String(piece.text) : "‹secret›"
            } else {
                out += safe(piece.text)
            }
            (last, between) = (String(piece.text), "")
        }
        return out
    }

    private static let sensitive = [
        "password", "passwd", "pwd", "secret", "token", "authorization", "apikey", "api_key", "api-key", "cookie",
        "session", "sessionid", "sid", "signature", "sig", "credential", "credentials",
    ]

    private static func isSensitive(_ word: String) -> Bool { sensitive.contains { word.hasSuffix($0) } }

    private static func safe(_ word: Substring) -> String {
        if word.hasPrefix("eyJ"), word.contains(".") { return "‹token›" }
        if let scheme = word.firstRange(of: "://") {
            let rest = word[scheme.upperBound...]
            let host = rest.prefix { $0 != "/" && $0 != "?" }
            guard let at = host.lastIndex(of: "@") else { return String(word) }
            let user = host[..<at].prefix { $0 != ":" }
            return "\(word[..<scheme.upperBound])\(user):‹secret›\(rest[at...])"
        }
        if isAddressOfMail(word) { return "‹email›" }
        return isOpaque(word, from: 32) ? "‹token›" : String(word)
    }

    // MARK: - What a word is

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    private static func isHex(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x66)
    }
    private static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }

    private static func isAddressOfMail(_ word: Substring) -> Bool {
        guard let at = word.firstIndex(of: "@"), at != word.startIndex, !word.hasPrefix("/") else { return false }
        let tail = word[word.index(after: at)...]
        return tail.contains(".") && !tail.contains("/") && !tail.contains("@")
    }

    /// 192.0.2.7, 192.0.2.7:5432, 2001:db8::1.
    private static func isAddress(_ word: Substring) -> Bool {
        let bytes = Array(word.utf8)
        let colons = bytes.count { $0 == UInt8(ascii: ":") }
        if colons >= 2 { return bytes.allSatisfy { isHex($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") } }
        let host = word.prefix { $0 != ":" }.split(separator: ".", omittingEmptySubsequences: false)
        return host.count == 4 && host.allSatisfy { !$0.isEmpty && $0.count <= 3 && $0.utf8.allSatisfy(isDigit) }
    }

    /// Letters and digits without a meaning: a key, a hash, a session.
    private static func isOpaque(_ word: Substring, from length: Int) -> Bool {
        let bytes = Array(word.utf8)
        guard bytes.count >= length, bytes.contains(where: isDigit), bytes.contains(where: isLetter),
            bytes.first != UInt8(ascii: "/"), !word.contains(".js"), !word.contains(".ts"), !word.contains(".py"),
            !word.contains("node_modules")
        else { return false }
        return bytes.allSatisfy { isDigit($0) || isLetter($0) || "_-+/.%~".utf8.contains($0) }
    }
}

/// A word, or what stands between two.
private struct Piece {
    var text: Substring
    var isWord: Bool

    private static let between = Set(" \t\n\r\"'`()[]{}<>,;=&|\\".utf8)

    static func split(_ text: Substring) -> [Piece] {
        var pieces: [Piece] = []
        let bytes = text.utf8
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let isWord = !between.contains(bytes[start])
            let end = bytes[start...].firstIndex { between.contains($0) == isWord } ?? bytes.endIndex
            pieces.append(Piece(text: text[start..<end], isWord: isWord))
            start = end
        }
        return pieces
    }
}
