import BasculeModel
import Glibc

/// The cookies of one customer. Kept by the host that set them; `Domain` is not needed for one shop, so it is not
/// followed, and a cookie never leaves its host.
struct CookieJar {
    private struct Key: Hashable {
        let host: String
        let path: String
        let name: String
    }

    private var cookies: [Key: (value: String, secure: Bool)] = [:]
    private static let maximum = 200

    /// Takes a `Set-Cookie` field; one that has expired removes the cookie. `now` is in seconds since 1970.
    mutating func take(_ field: String, host: String, path requestPath: String, now: Int64) {
        let parts = field.split(separator: ";", omittingEmptySubsequences: false).map(\.trimmed)
        guard let pair = parts.first, let equals = pair.firstIndex(of: "="), equals > pair.startIndex else { return }
        var path = Self.folder(requestPath)
        var secure = false
        var expires: Int64?
        var age: Int64?
        for part in parts.dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(\.trimmed)
            let value = sides.count == 2 ? sides[1] : ""
            switch sides.first?.lowercased() {
            case "path": if value.hasPrefix("/") { path = value }
            case "secure": secure = true
            case "max-age": age = Int64(value)
            case "expires": expires = Self.seconds(value)
            default: continue
            }
        }
        let key = Key(host: host, path: path, name: pair[..<equals].trimmed)
        let over = age.map { $0 <= 0 } ?? expires.map { $0 <= now } ?? false
        if over {
            cookies[key] = nil
        } else if cookies.count < Self.maximum || cookies[key] != nil {
            cookies[key] = (pair[pair.index(after: equals)...].trimmed, secure)
        }
    }

    /// The `Cookie` field for a request; nil if there is none to send. Longer paths come first.
    func field(host: String, path: String, secure: Bool) -> String? {
        let fitting = cookies.filter { key, cookie in
            key.host == host && (secure || !cookie.secure) && Self.covers(key.path, path)
        }
        let ordered = fitting.sorted { left, right in
            (right.key.path.count, left.key.name) < (left.key.path.count, right.key.name)
        }
        return ordered.isEmpty ? nil : ordered.map { "\($0.key.name)=\($0.value.value)" }.joined(separator: "; ")
    }

    /// A cookie's value, whatever its path.
    func value(of name: String, host: String) -> String? {
        cookies.first { $0.key.name == name && $0.key.host == host }?.value.value
    }

    private static func covers(_ cookie: String, _ path: String) -> Bool {
        path == cookie || path.hasPrefix(cookie.hasSuffix("/") ? cookie : cookie + "/")
    }

    private static func folder(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    /// `Thu, 01 Jan 1970 00:00:00 GMT`, also with dashes, in seconds since 1970; nil if it is something else.
    static func seconds(_ text: String) -> Int64? {
        let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        let words = text.lowercased().split { " -,".contains($0) }
        guard words.count >= 5, let day = Int32(words[1]), let month = months.firstIndex(of: String(words[2])),
            let year = Int32(words[3]), (1900...9999).contains(year)
        else { return nil }
        let clock = words[4].split(separator: ":").compactMap { Int32($0) }
        guard clock.count == 3 else { return nil }
        var time = tm()
        (time.tm_year, time.tm_mon, time.tm_mday) = (year - 1900, Int32(month), day)
        (time.tm_hour, time.tm_min, time.tm_sec) = (clock[0], clock[1], clock[2])
        return Int64(timegm(&time))
    }
}
