import BasculeModel

extension ErrorCode {
    /// The Redis server answered a command with an error.
    package static let redisRefused: ErrorCode = "redis-refused"
    /// The Redis server did not accept the login.
    package static let redisLoginRefused: ErrorCode = "redis-login-refused"
    /// A `redis://` address cannot be understood. The address itself is never shown.
    package static let redisAddressInvalid: ErrorCode = "redis-address-invalid"
    /// The target already holds keys of the move's pattern that no earlier run of this move wrote.
    package static let redisTargetNotEmpty: ErrorCode = "redis-target-not-empty"
    /// Preflight found something that would not survive the move, and nobody accepted it.
    package static let redisMoveRefused: ErrorCode = "redis-move-refused"
    /// A key has a type that the target cannot hold.
    package static let redisTypeUnsupported: ErrorCode = "redis-type-unsupported"
    /// The target ran out of memory, or evicted a key while it was being written.
    package static let redisTargetFull: ErrorCode = "redis-target-full"
    /// The Redis server says that it is asked too often; waiting helps.
    package static let redisTooFast: ErrorCode = "redis-too-fast"
    /// The writers of a Redis source could not be stopped, or a write got through.
    package static let redisFenceFailed: ErrorCode = "redis-fence-failed"
}

/// Bytes of a stranger as one printable line of at most `limit` characters.
func printable(_ bytes: some Swift.Sequence<UInt8>, limit: Int = 120) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var out: [UInt8] = []
    for byte in bytes {
        if out.count >= limit { return String(decoding: out, as: UTF8.self) + "…" }
        if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
            out.append(byte)
        } else {
            out += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// An error reply as an error of ours. Redis repeats the arguments of a command that it does not know: cut there.
func refusal(_ text: String, to command: String, at peer: String) -> BasculeError {
    var cause = text
    for marker in [", with args", " with args"] {
        if let range = cause.firstRange(of: marker) { cause = String(cause[..<range.lowerBound]) }
    }
    let shown = printable(cause.utf8, limit: 200)
    if text.hasPrefix("OOM") {
        return BasculeError(
            .redisTargetFull, "The Redis server is out of memory", at: .thing(peer), cause: shown,
            hint: "Raise the instance's maxMemory, or move fewer keys.")
    }
    let said = text.lowercased()
    if ["rate limit", "per second", "too many requests"].contains(where: said.contains) {
        return BasculeError(
            .redisTooFast, "The Redis server is asked too often", at: .thing(peer), cause: shown,
            hint: "Declare a rate for the source, below what its plan allows.")
    }
    if text.hasPrefix("NOAUTH") || text.hasPrefix("WRONGPASS") {
        return BasculeError(
            .redisLoginRefused, "The Redis server refused the login", at: .thing(peer),
            hint: "Check the user and the password in the secret that holds the address.")
    }
    return BasculeError(
        .redisRefused, "The Redis server refused \(command)", at: .thing(peer), cause: shown,
        hint: command.hasPrefix("SELECT")
            ? "What the address ends with is the database's number: the server has fewer."
            : text.hasPrefix("NOPERM") ? "Give the login in the address that right (ACL SETUSER)." : nil)
}
