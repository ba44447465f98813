import BasculeModel

/// What goes into a base image. `deploy/lab/packages` shows the same list to people; a test keeps them equal.
struct LabRecipe: Hashable, Sendable {
    /// Beside what `mmdebstrap --variant=minbase` brings: about what a small VPS has on its first day.
    static let packages = [
        "systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "ca-certificates", "sudo", "libpam-systemd",
        "procps", "netbase",
    ]

    /// Raised when the same inputs must give another image.
    private static let version = 1

    let release: LabRelease
    /// deb822 text.
    let sources: String
    /// apt.conf text.
    let aptSettings: String

    /// All that decides what the image holds, readable.
    var text: String {
        """
        version: \(Self.version)
        release: \(release.rawValue) \(release.codename)
        packages: \(Self.packages.joined(separator: " "))
        apt:
        \(aptSettings)
        sources:
        \(sources)
        """
    }

    /// The directory's name without the time of building.
    var key: String { "\(release.rawValue)-\(StableHash.hexadecimal(text))" }

    /// The key of a layer on a base: order and repetition of packages do not matter.
    static func layerKey(base: String, image: LabImage) -> String {
        let install = Set(image.install).sorted().joined(separator: " ")
        let download = Set(image.download).sorted().joined(separator: " ")
        let hash = StableHash.hexadecimal(
            "version: \(version)\nbase: \(base)\ninstall: \(install)\ndownload: \(download)")
        return "\(image.base.rawValue)-layer-\(hash)"
    }
}
