import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc

/// What the controller signed of what this node keeps whole: manifests and segments, as they lie on the disk.
extension ControllerTrust {
    /// Segments that are kept however old, by their number.
    static let keptSegments = 50

    /// Keeps a manifest as it was signed.
    func keep(manifest request: SignedRequest, _ digest: Digest) throws {
        try DurableFile.makeDirectory(paths.manifests)
        try DurableFile.write(request.encoded, to: "\(paths.manifests)/\(digest.rawValue)", kind: "manifest")
    }

    /// The resources of a manifest; nil where it is not as the controller signed it, or not there.
    private func manifest(_ name: String) -> Set<DesiredResource>? {
        guard let bytes = (try? DurableFile.read("\(paths.manifests)/\(name)")) ?? nil,
            let request = try? SignedRequest(parsing: bytes), isKnown(request),
            case .manifest(let resources)? = try? Wire.decode(Request.self, from: request.body)
        else { return nil }
        return Set(resources)
    }

    /// All that the signed files on the disk bear out.
    func borneOut() -> Set<DesiredResource> {
        var all: Set<DesiredResource> = []
        for (name, _) in Self.files(paths.manifests) { all.formUnion(manifest(name) ?? []) }
        for id in segments { if let segment = try? segment(id) { all.formUnion(segment.resources) } }
        return all
    }

    /// Takes away signed segments that nothing needs any more; the newest, and those without an end, stay.
    /// - Parameter needed: what the heal set holds, which must stay borne out.
    func pruneSegments(needed: Set<DesiredResource>, hasEnded: (SegmentID) -> Bool) {
        for id in segments.dropFirst(Self.keptSegments) {
            guard hasEnded(id) else { continue }
            if let segment = try? segment(id), !needed.isDisjoint(with: segment.resources) { continue }
            if let path = try? path(id) { unlink(path) }
        }
    }

    /// Takes away former manifests that bear nothing out any more.
    func pruneManifests(needed: Set<DesiredResource>, current: Digest?) {
        var open = needed
        for (name, _) in Self.files(paths.manifests) {
            let held = manifest(name) ?? []
            guard name != current?.rawValue, open.isDisjoint(with: held) else {
                open.subtract(held)
                continue
            }
            unlink("\(paths.manifests)/\(name)")
        }
    }

    /// How many segments are kept as they were signed.
    var segmentCount: Int { segments.count }

    /// Their ids, newest first.
    private var segments: [SegmentID] {
        Self.files(paths.signed).compactMap { name, _ in
            name.hasSuffix(Self.ending) ? SegmentID(String(name.dropLast(Self.ending.count))) : nil
        }
    }

    /// The files of a folder, newest first, without those that are being written.
    private static func files(_ folder: String) -> [(name: String, time: Double)] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var found: [(name: String, time: Double)] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard !name.hasPrefix("."), !name.hasSuffix(".new"), stat("\(folder)/\(name)", &status) == 0 else {
                continue
            }
            found.append((name, Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9))
        }
        return found.sorted { ($0.time, $0.name) > ($1.time, $1.name) }
    }
}

extension Segment {
    /// The resources that its steps may bring about, forward or back.
    fileprivate var resources: Set<DesiredResource> {
        steps.reduce(into: []) { $0.formUnion($1.action.resources + ($1.compensation?.resources ?? [])) }
    }
}
