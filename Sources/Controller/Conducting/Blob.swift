import BasculeModel
import Foundation

/// Content to upload: in memory, or a file that is read piece by piece when it is needed.
package enum Blob: Sendable {
    case bytes([UInt8])
    case file(path: String)

    /// How many bytes travel at once.
    private static let piece = 1 << 18

    /// Opens it. Throws `input-output` where the file cannot be read any more.
    package func reader() throws -> Reader { try Reader(self) }

    /// Reads content from its beginning to its end.
    package struct Reader: ~Copyable {
        /// Bytes in all, as they were when it was opened.
        package let size: Int
        private let bytes: [UInt8]
        private let descriptor: Int32
        private let path: String
        private var offset = 0

        fileprivate init(_ blob: Blob) throws {
            switch blob {
            case .bytes(let content): (bytes, size, descriptor, path) = (content, content.count, -1, "")
            case .file(let file):
                descriptor = open(file, O_RDONLY | O_CLOEXEC)
                var status = stat()
                guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
                    let cause = String(cString: strerror(errno))
                    if descriptor >= 0 { Foundation.close(descriptor) }
                    throw BasculeError(.inputOutput, "\(file) cannot be read any more", cause: cause)
                }
                (bytes, path, size) = ([], file, Int(status.st_size))
            }
        }

        deinit { if descriptor >= 0 { Foundation.close(descriptor) } }

        /// The next bytes; nil at the end. A file that grew meanwhile ends at its announced size.
        package mutating func next() throws -> [UInt8]? {
            let wanted = min(Blob.piece, size - offset)
            guard wanted > 0 else { return nil }
            defer { offset += wanted }
            guard descriptor >= 0 else { return Array(bytes[offset..<offset + wanted]) }
            var cause = "it became shorter"
            let (file, start) = (descriptor, offset)
            let content = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
                while filled < wanted {
                    let count = pread(
                        file, buffer.baseAddress.map { $0 + filled }, wanted - filled, off_t(start + filled))
                    if count < 0, errno == EINTR { continue }
                    if count < 0 { cause = String(cString: strerror(errno)) }
                    guard count > 0 else { return }
                    filled += count
                }
            }
            guard content.count == wanted else {
                throw BasculeError(.inputOutput, "\(path) cannot be read any more", cause: cause)
            }
            return content
        }
    }
}
