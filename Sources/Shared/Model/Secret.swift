/// A value that must never be printed. Every textual rendering is `‹secret›`; only `reveal()` gives the bytes.
package struct Secret: Sendable, Equatable {
    private let bytes: [UInt8]
    package init(_ text: String) { bytes = Array(text.utf8) }
    package init(bytes: [UInt8]) { self.bytes = bytes }
    /// The value itself. Call it only where it is handed to the program that needs it.
    package func reveal() -> String { String(decoding: bytes, as: UTF8.self) }
    /// The value's bytes.
    package func revealBytes() -> [UInt8] { bytes }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "‹secret›" }
    package var debugDescription: String { "‹secret›" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
