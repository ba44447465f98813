import BasculeModel

extension ErrorCode {
    /// The lab cannot work on this machine; the hint says what is needed.
    package static let labUnavailable: ErrorCode = "lab-unavailable"
    /// A base image or a layer of it could not be built.
    package static let labImageFailed: ErrorCode = "lab-image-failed"
    /// A throwaway node did not come up.
    package static let labBootFailed: ErrorCode = "lab-boot-failed"
    /// No such node in this lab.
    package static let labNodeUnknown: ErrorCode = "lab-node-unknown"
    /// The node is there but does not run.
    package static let labNodeStopped: ErrorCode = "lab-node-stopped"
    /// No free subnet was found for the lab's bridge.
    package static let labNoSubnet: ErrorCode = "lab-no-subnet"
    /// Another process has been working on this lab for too long.
    package static let labBusy: ErrorCode = "lab-busy"
}

/// A Debian release that throwaway nodes can run; the raw value is what the fleet file's `image:` says.
package enum LabRelease: String, Hashable, Codable, Sendable, CaseIterable {
    case debian12, debian13

    /// The name the archive uses.
    package var codename: String {
        switch self {
        case .debian12: "bookworm"
        case .debian13: "trixie"
        }
    }
}

/// What a node's file system starts as: a release, and packages fetched once for all nodes of this image.
package struct LabImage: Hashable, Codable, Sendable {
    package var base: LabRelease
    /// Packages whose archives (with all they need) wait in `/var/cache/apt/archives`, not installed.
    package var download: [String]
    /// Packages already installed.
    package var install: [String]

    package init(base: LabRelease, download: [String] = [], install: [String] = []) {
        self.base = base
        self.download = download
        self.install = install
    }

    package static let debian12 = LabImage(base: .debian12)
    package static let debian13 = LabImage(base: .debian13)
}

/// Where a node's own files live.
package enum LabDisk: Hashable, Codable, Sendable {
    /// On the host's file system, as large as that.
    case host
    /// On an ext4 of this size in a loop-mounted file, for tests with a full disk or a pulled plug.
    case limited(megabytes: Int)
}

/// A throwaway node to be.
package struct LabNodeSpec: Hashable, Codable, Sendable {
    /// Also its host name: lower-case letters, digits and dashes, at most 63.
    package var name: NodeName
    package var image: LabImage
    /// Lines for `/root/.ssh/authorized_keys`.
    package var authorizedKeys: [String]
    package var disk: LabDisk

    package init(
        name: NodeName, image: LabImage = .debian12, authorizedKeys: [String] = [], disk: LabDisk = .host
    ) {
        self.name = name
        self.image = image
        self.authorizedKeys = authorizedKeys
        self.disk = disk
    }
}

/// How a node is.
package enum LabHealth: Hashable, Codable, Sendable {
    /// Multi-user, every unit well.
    case running
    /// Multi-user, with these failed units.
    case degraded([String])
    /// On its way up, or without an answer.
    case starting
    /// No process; `boot` starts it again with the same files and address.
    case stopped
}

/// A throwaway node as it is.
package struct LabNode: Hashable, Codable, Sendable {
    package var name: NodeName
    package var labName: String
    package var image: LabImage
    /// IPv4 address, the same for the node's whole life.
    package var address: String
    /// The controller's address on the lab's bridge.
    package var gateway: String
    /// Public host keys, `ssh-ed25519 AAAA…` first, then `ecdsa-sha2-nistp256 AAAA…`; ready to be pinned.
    package var hostKeys: [String]
    /// 32 hexadecimal digits, the node's `/etc/machine-id`.
    package var machineID: String
    package var health: LabHealth
    /// PID of the node's PID 1 as the host sees it; nil when stopped.
    package var leader: Int32?
    /// The node's root directory as the host sees it.
    package var root: String
    /// Where the node's own files (what differs from the image) are.
    package var upper: String
    /// The file that holds the size-limited disk, if there is one.
    package var diskFile: String?
    /// What the node's boot wrote on its console.
    package var console: String
}

/// Lines of progress for people.
package typealias LabProgress = @Sendable (String) -> Void
