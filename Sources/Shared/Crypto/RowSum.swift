import BasculeModel
import CSodium

/// A keyed 128-bit hash (SipHash-2-4 with a wide result): quick on short values, and unpredictable without the key, so
/// that sums of it compare sets of rows.
package struct ShortHash: Sendable {
    private let key: [UInt8]

    /// `key` is 16 bytes.
    package init(key: [UInt8]) {
        self.key = Array((key + [UInt8](repeating: 0, count: 16)).prefix(16))
    }

    package func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt128 {
        var out: (low: UInt64, high: UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &out) { out in
            guard let start = out.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            _ = crypto_shorthash_siphashx24(
                start, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count), key)
        }
        return UInt128(out.high) << 64 | UInt128(out.low)
    }
}
