import BasculeModel
import CSodium

/// libsodium, initialised once. Every function of this module goes through it.
enum Sodium {
    /// Touching this makes sure that `sodium_init` ran; its result is 0 or 1 where it succeeded.
    static let isReady: Bool = sodium_init() >= 0

    static func require() throws {
        guard isReady else {
            throw BasculeError(.unsupported, "libsodium could not be initialised", hint: "check /dev/urandom")
        }
    }
}

/// Random bytes from the kernel's generator.
package enum RandomBytes {
    /// `count` unpredictable bytes.
    package static func make(_ count: Int) -> [UInt8] {
        _ = Sodium.isReady
        var bytes = [UInt8](repeating: 0, count: count)
        randombytes_buf(&bytes, count)
        return bytes
    }

    /// A random text of `count` characters out of 62 letters and digits: safe in URLs, files and SQL alike.
    package static func password(_ count: Int = 32) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        _ = Sodium.isReady
        return String((0..<count).map { _ in alphabet[Int(randombytes_uniform(UInt32(alphabet.count)))] })
    }

    /// A random identifier of 16 lower-case hexadecimal characters.
    package static func identifier() -> String { Hex.encode(make(8)) }
}

/// Lower-case hexadecimal.
package enum Hex {
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = []
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The bytes, or nil where the text is not pairs of hexadecimal digits.
    package static func decode(_ text: String) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case 48...57: digit - 48
            case 97...102: digit - 87
            case 65...70: digit - 55
            default: nil
            }
        }
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }
}
