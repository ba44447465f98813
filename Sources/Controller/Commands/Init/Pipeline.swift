import BasculeFleet
import BasculeModel

/// What a pipeline is made of, whoever runs it.
struct Pipeline {
    enum Kind: String, CaseIterable {
        case github, gitlab

        /// Where its runner looks for it, from the repository's root.
        var path: String { self == .github ? ".github/workflows/bascule.yml" : ".gitlab-ci.yml" }
    }

    /// An app that is released from its source in the repository.
    struct Release {
        var app: String
        var source: String
        /// The protected variable that holds the token file.
        var secret: String
    }

    let file: String
    /// Whether the fleet file has a topology of throwaway nodes.
    let rehearses: Bool
    let releases: [Release]

    init(_ fleet: Fleet, file: String) {
        self.file = file
        rehearses = fleet.topologies["rehearsal"] != nil
        releases = fleet.apps.sorted { $0.key < $1.key }.compactMap { name, app in
            guard case .path(let path) = app.source, !path.hasPrefix("/") else { return nil }
            let word = name.rawValue.uppercased().replacing("-", with: "_")
            return Release(app: name.rawValue, source: path, secret: "BASCULE_TOKEN_\(word)")
        }
    }

    /// What a person has to do once.
    func todo(_ kind: Kind) -> [String] {
        let secrets = kind == .github ? "secrets of the environment production" : "protected, masked file variables"
        let runner =
            kind == .github
            ? "a self-hosted runner with the label bascule" : "a runner with the tag bascule"
        return [
            "next:",
            "  make package, put dist/bascule.tar.gz where the runners reach it, and set the variables BASCULE_DOWNLOAD and BASCULE_SHA256",
        ]
            + releases.map {
                "  bascule token create ci --app \($0.app) --out \($0.app).token, and put the file into \($0.secret) (\(secrets))"
            } + ["  plans and full applies need the store: \(runner) beside it"]
    }

    // MARK: - Shell, shared by both

    /// Fetches the programs and believes only their checksum. Beside the sources nothing is left: they are what is released.
    static func install(in folder: String, sudo: String) -> [String] {
        [
            #"curl --fail --silent --show-error --location --output \#(folder)/bascule.tar.gz "$BASCULE_DOWNLOAD""#,
            #"echo "$BASCULE_SHA256  \#(folder)/bascule.tar.gz" | sha256sum --check --quiet"#,
            "\(sudo)tar --extract --gzip --file \(folder)/bascule.tar.gz --directory /usr/local",
        ]
    }

    /// The plan into `folder/plan.md`; fails only where planning failed.
    func plan(in folder: String) -> [String] {
        [
            "status=0",
            "bascule plan -f \(file) --short > \(folder)/plan.txt 2>&1 || status=$?",
            "{ echo '### bascule plan'; echo '```text'; head -c 60000 \(folder)/plan.txt; echo '```'; } > \(folder)/plan.md",
            "cat \(folder)/plan.txt",
            "# 0: nothing to do; 2: changes; anything else is an error.",
            #"test "$status" -eq 0 || test "$status" -eq 2"#,
        ]
    }

    /// From blank to the whole stack on throwaway nodes, with a store of their own; the second time changes nothing.
    func rehearsal(store: String, sudo: String) -> [String] {
        let options = "-f \(file) --topology rehearsal --store \(store)"
        return [
            "\(sudo)bascule apply \(options) --yes",
            "\(sudo)bascule drift \(options)",
            "\(sudo)bascule status \(options)",
        ]
    }

    /// Releases an app with its token and nothing else.
    func release(_ release: Release, token: String) -> String {
        "bascule token release \(token) --source \(release.source)"
    }
}
