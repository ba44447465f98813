import BasculeModel
import Glibc

/// Builds images into a directory that nobody else looks at yet.
struct LabImageBuilder: Sendable {
    let cgroup: LabCgroup
    let progress: LabProgress

    /// Where builders of this home run; one at a time, so that what a killed one left can be ended.
    static func cgroup(home: String) -> LabCgroup {
        LabCgroup(tag: "images-\(LabNames.tag(labName: home))", machine: "builder")
    }

    /// `DIR/root`: a whole Debian.
    func buildBase(_ recipe: LabRecipe, into target: String) async throws {
        progress("building the image \(recipe.release.rawValue), once; takes half a minute")
        let root = "\(target)/root"
        try LabFiles.write(recipe.sources, to: "\(target)/debian.sources")
        try LabFiles.write(recipe.aptSettings, to: "\(target)/apt.conf")
        try await run(
            [
                "mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase",
                "--include=\(LabRecipe.packages.joined(separator: ","))", "--aptopt=\(target)/apt.conf",
                // The index stays, so that a node can install without asking the archive for it first.
                "--skip=cleanup/apt", recipe.release.codename, root, "\(target)/debian.sources",
            ], deadline: .seconds(600))

        try await run(["chroot", root, "systemctl", "enable", "systemd-networkd.service"])
        // They take apt's lock at a random moment of a node's first hour.
        try await run(["chroot", root, "systemctl", "disable", "apt-daily.timer", "apt-daily-upgrade.timer"])
        try await run(["chroot", root, "apt-get", "clean"])
        try await run(["chroot", root, "apt-cache", "gencaches"])
        for key in LabFiles.list("\(root)/etc/ssh") where key.hasPrefix("ssh_host_") {
            unlink("\(root)/etc/ssh/\(key)")
        }
        for path in ["var/lib/dbus/machine-id", "etc/hostname", "etc/resolv.conf", "var/lib/systemd/random-seed"] {
            unlink("\(root)/\(path)")
        }
        try LabFiles.write("", to: "\(root)/etc/machine-id", mode: 0o444)
        progress("built the image \(recipe.release.rawValue)")
    }

    /// `DIR/upper`: what the packages add to the base.
    func buildLayer(_ image: LabImage, base: String, into target: String) async throws {
        let packages = Set(image.install + image.download).sorted().joined(separator: " ")
        progress("building a layer on \(image.base.rawValue), once: \(packages)")
        let root = "\(target)/root"
        for directory in ["root", "upper", "work"] { try LabFiles.makeDirectory("\(target)/\(directory)") }
        try LabMounts.share(target)
        defer { LabMounts.detachAll(under: target) }
        try LabMounts.overlay(lower: [base], upper: "\(target)/upper", work: "\(target)/work", at: root)
        try LabFiles.write(LabBoot.resolver(), to: "\(root)/etc/resolv.conf")

        // Services start on the nodes, not in here.
        try LabFiles.write("#!/bin/sh\nexit 101\n", to: "\(root)/usr/sbin/policy-rc.d", mode: 0o755)
        if !image.install.isEmpty {
            try await apt(["install", "--"] + Set(image.install).sorted(), in: root)
            try await apt(["clean"], in: root)
        }
        unlink("\(root)/usr/sbin/policy-rc.d")
        if !image.download.isEmpty {
            try await apt(["install", "--download-only", "--"] + Set(image.download).sorted(), in: root)
        }
        unlink("\(root)/etc/resolv.conf")
        LabMounts.detachAll(under: target)
        progress("built the layer")
    }

    /// apt-get inside the image, with the host's network; once more with a fresh index if the first try fails.
    private func apt(_ arguments: [String], in root: String) async throws {
        do {
            try await enter(root, ["apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-unsafe-io"] + arguments)
        } catch let error as BasculeError where error.code == .labImageFailed {
            progress("trying again with a fresh package index")
            try await enter(root, ["apt-get", "-q", "update"])
            try await enter(root, ["apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-unsafe-io"] + arguments)
        }
    }

    private func enter(_ root: String, _ argv: [String]) async throws {
        try await run(
            [
                "systemd-nspawn", "-q", "-D", root, "-M", "bascule-lab-builder", "--register=no", "--keep-unit",
                "--resolv-conf=off", "--link-journal=no", "--as-pid2", "--pipe",
                "--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C.UTF-8",
            ] + argv, deadline: .seconds(900))
    }

    private func run(_ argv: [String], deadline: Duration = .seconds(120)) async throws {
        let environment =
            ["DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "TMPDIR": nil] as [String: String?]
        let result = try await Command.run(
            LabBoot.joining(try cgroup.make(), argv), environment: environment, deadline: deadline)
        guard result.status != 0 else { return }
        throw BasculeError(
            .labImageFailed, "building an image failed at \(argv[0])",
            cause: CommandResult.tail(of: result.text + "\n" + result.errorText),
            hint: "Check that this machine can install packages: `apt-get update`.")
    }
}
