import BasculeModel

/// Lets systemd read its files once for a transaction of packages, not once for every package with a unit: on a full
/// node of Debian 13 each time takes it 0.2 to 0.4 s, and the scripts of the guide's stack ask for it some thirty times.
///
/// The scripts find this `systemctl` first in their PATH. It only notes that a daemon-reload is due; whatever could
/// depend on it (a start, a question about a unit) makes up for it before it goes on.
enum SystemdReloads {
    private static let due = "/run/bascule-reload-due"
    private static let real = "/usr/bin/systemctl"
    /// apt's own default, see apt.conf(5), `DPkg::Path`.
    private static let path = "/usr/sbin:/usr/bin:/sbin:/bin"

    /// - Parameters:
    ///   - real: systemctl itself.
    ///   - due: the file that notes that a daemon-reload is due.
    static func script(_ real: String, _ due: String) -> String {
        """
        #!/bin/sh
        # Bascule, while packages are installed: systemd reads its files once, not once for every package.
        for word; do
            case $word in
                -*) continue ;;
                daemon-reload) : > \(due) && exit 0 ;;
                is-*) ;;
                enable | disable | reenable | preset | preset-all | mask | unmask) rm -f \(due) ;;
                *) [ ! -e \(due) ] || { rm -f \(due); \(real) daemon-reload; } ;;
            esac
            break
        done
        exec \(real) "$@"

        """
    }

    /// Options for apt-get under which packages' scripts put reloads off.
    static func options(_ context: NodeContext) throws -> [String] {
        let folder = "\(context.stateDirectory)/quiet"
        try AtomicFile.write(
            "\(folder)/systemctl", Array(script(real, due).utf8), Permissions(mode: 0o755), kind: "script")
        return ["-o", "DPkg::Path=\(folder):\(path)"]
    }

    /// Does what an ended, or interrupted, transaction put off.
    static func catchUp() throws {
        guard try AtomicFile.read(due) != nil else { return }
        // Removed first: what asks for one while this one runs gets another.
        try ParentDirectory.find(due)?.remove()
        try Systemctl.run(["daemon-reload"])
    }
}
