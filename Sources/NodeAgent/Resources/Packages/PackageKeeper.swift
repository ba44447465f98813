import BasculeModel

/// Debian packages.
enum PackageKeeper {
    static func observe(_ spec: PackageSpec) throws -> PackageObserved {
        let entry = try DpkgStatus.current().entries[spec.name]
        guard let entry, entry.status != "not-installed" else {
            return PackageObserved(version: nil, status: "not-installed")
        }
        return PackageObserved(version: entry.version, status: entry.status)
    }

    /// Brings all packages of one call to their state in one transaction.
    static func apply(_ specs: [PackageSpec], _ context: NodeContext) throws {
        for spec in specs { try check(spec) }
        try PolicyRC.whileDenied(context) {
            try AptRepair.run(context)
            do {
                try install(
                    specs.filter { $0.state == .present }, removing: specs.filter { $0.state == .absent }, context)
            } catch let error as BasculeError where error.code == .packageFailed {
                // apt fails as well where a package that nobody asked for cannot be configured.
                guard try unmet(specs).isEmpty else { throw error }
                context.progress("apt failed over another package: \(error.cause ?? "")")
            }
        }
        try verify(specs)
    }

    private static func install(_ wanted: [PackageSpec], removing: [PackageSpec], _ context: NodeContext) throws {
        let words =
            wanted.map { spec in spec.version.map { "\(spec.name)=\($0)" } ?? spec.name }
            + removing.map { $0.name + "-" }
        guard !words.isEmpty else { return }
        var options: [String] = []
        if wanted.contains(where: { $0.version != nil }) {
            options += ["--allow-downgrades", "--allow-change-held-packages"]
        }
        if removing.isEmpty {
            // A package that conflicts with something must not push it off a node unasked.
            options.append("--no-remove")
        } else {
            try AptRemovals.check(words, allowed: Set(removing.map(\.name)), context)
        }
        try Apt.withFreshLists(context) {
            try Apt.run(options + ["install", "--"] + words, "Installing \(words.joined(separator: " "))", context)
        }
    }

    /// apt may end well without having done what was meant, e.g. for the name of a virtual package.
    private static func verify(_ specs: [PackageSpec]) throws {
        let missing = try unmet(specs)
        guard missing.isEmpty else {
            throw BasculeError(
                .packageFailed,
                "apt ended well, but this is not as declared: \(missing.map(\.name).joined(separator: ", "))",
                hint: "a virtual package has no state of its own: name the real one")
        }
    }

    private static func unmet(_ specs: [PackageSpec]) throws -> [PackageSpec] {
        try specs.filter { if case .change = $0.verdict(try observe($0)) { true } else { false } }
    }

    private static func check(_ spec: PackageSpec) throws {
        let text = spec.name + (spec.version ?? "")
        let good = text.utf8.allSatisfy {
            ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || "+-.:~_".utf8.contains($0)
        }
        guard good, let first = spec.name.utf8.first, first != 45, spec.name.utf8.last != 45 else {
            throw BasculeError(.invalidInput, "This is no package name and version", at: .thing(spec.name))
        }
    }
}
