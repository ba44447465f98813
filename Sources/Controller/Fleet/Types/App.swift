import BasculeModel

/// An app: what is built, how it runs, where it listens, who reaches it.
package struct App: Sendable, Equatable {
    package enum Runtime: String, Sendable, Hashable, CaseIterable { case systemd, pm2, docker }

    package var source = AppSource.path("")
    package var runtime = Runtime.systemd
    /// Processes on each node with the role `app`; they listen on `port`, `port + 1`, … Default 1.
    package var instances = 1
    /// Run in the release's directory, in order, as the app's user.
    package var build: [Command] = []
    /// Environment of the build; part of the release's digest.
    package var buildEnv: [String: EnvValue] = [:]
    /// Run in the release's directory.
    package var start = Command([])
    /// First port, on the loopback unless the topology puts web elsewhere.
    package var port = 0
    package var health: HealthCheck?
    /// The host names that the web role serves for it.
    package var domains: [String] = []
    /// Folders that the web server sends by itself, by their path on the site.
    package var files: [String: ServedFolder] = [:]
    /// Environment of the processes; part of the release's digest.
    package var env: [String: EnvValue] = [:]
    /// The journeys file, relative to the fleet's folder.
    package var journeys: String?
    /// Debian packages that building and running need.
    package var packages: [String] = []
    /// The system user that it runs as; without it, the app's name.
    package var user: String?
    /// Releases kept on the node for going back. Default 3.
    package var keep = 3
    /// Time that an instance gets to finish its requests before it is stopped. Default 10 s.
    package var drain: Duration = .seconds(10)
    /// Memory of one instance. It is killed and started again beyond it. Default 256 MiB.
    package var memory = ByteSize.mebibytes(256)
    /// Major version of Node.js that it needs; `nil` takes what the node's Debian has.
    package var node: Int?
    /// Where PM2 comes from; only with `runtime: pm2`.
    package var pm2 = PM2Source.npm("6.0.14")
    /// The image to run it in; only with `runtime: docker`. `nil` is Node.js's own of the version `node`.
    package var image: String?
    /// Where customers log in, for the criterion `usersUnableToLogIn`.
    package var login: LoginEndpoint?
    /// Where each instance gives metrics as Prometheus reads them; nil where it has none.
    package var metrics: String?
    package init() {}
}

/// Where an app's code comes from.
package enum AppSource: Sendable, Equatable {
    /// A folder, relative to the fleet's folder (`./` removed) or absolute.
    case path(String)
    case git(url: String, ref: String)
    /// A tar archive, relative to the fleet's folder or absolute.
    case archive(String)
}

/// When an instance counts as ready.
package struct HealthCheck: Sendable, Equatable {
    /// An HTTP path that answers 200 when the app can serve.
    package var path = ""
    /// How long a starting instance may take. Default 30 s.
    package var timeout: Duration = .seconds(30)
    /// Time between two checks. Default 1 s.
    package var interval: Duration = .seconds(1)
    package init() {}
}

/// The request by which customers log in.
package struct LoginEndpoint: Sendable, Equatable {
    package var path = ""
    /// HTTP method. Default POST.
    package var method = "POST"
    /// The form or JSON field that tells the user. Default email.
    package var userField = "email"
    package init() {}
}

extension App: Declared {
    static var about: String { "An app: what is built, how it runs, who reaches it" }
    static var fields: [Field<App>] {
        let environment = Codec<[String: EnvValue]>.map(.variable, { $0 }, .environment)
        return [
            .key("source", \.source, .appSource, required: true, "Where its code comes from"),
            .key("runtime", \.runtime, .choice(), "What supervises its processes"),
            .key("instances", \.instances, .integer(1...64), "Processes on each node with the role app"),
            .key("packages", \.packages, .list(.name(.package)), "Debian packages that building and running need"),
            .key("build", \.build, .list(.command), "Commands run in the release's directory, in order"),
            .key("buildEnv", \.buildEnv, environment, "Environment of the build; part of the release's digest"),
            .key("start", \.start, .command, required: true, "The command that each instance runs"),
            .key(
                "port", \.port, .integer(1024...65535, "a port number"), required: true,
                "First instance's port; the next ones follow"),
            .key("health", \.health, .object, "When an instance counts as ready"),
            .key("domains", \.domains, .list(.domain), "Host names that the web role serves for it"),
            .key(
                "files", \.files, .map(.urlFolder, { $0 }, .object),
                "Folders that the web server sends by itself, by their path on the site"),
            .key("env", \.env, environment, "Environment of the processes; part of the release's digest"),
            .key("journeys", \.journeys, .fleetPath, "The file of its customers' journeys"),
            .key("login", \.login, .object, "Where customers log in, for usersUnableToLogIn"),
            .key("user", \.user, .name(.account), "The system user that it runs as; the app's name if absent"),
            .key("keep", \.keep, .integer(1...100), "Releases kept on the node"),
            .key("memory", \.memory, .size, "Memory of one instance, which is started again beyond it"),
            .key("node", \.node, .integer(12...99), "Major version of Node.js that it needs"),
            .key("pm2", \.pm2, .pm2Source, "Where PM2 comes from, with runtime: pm2"),
            .key("image", \.image, .name(.image), "The image that it runs in, with runtime: docker"),
            .key("drain", \.drain, .duration, "Time to finish requests before an instance is stopped"),
            .key("metrics", \.metrics, .httpPath, "Where each instance gives metrics for Prometheus; none if absent"),
        ]
    }
}

extension HealthCheck: Declared {
    static var about: String { "When an instance counts as ready" }
    static var fields: [Field<HealthCheck>] {
        [
            .key("path", \.path, .httpPath, required: true, "Answers 200 when the app can serve"),
            .key("timeout", \.timeout, .duration, "How long a starting instance may take"),
            .key("interval", \.interval, .duration, "Time between two checks"),
        ]
    }
}

extension LoginEndpoint: Declared {
    enum Method: String, CaseIterable {
        case post = "POST"
        case put = "PUT"
        case get = "GET"
    }
    static var about: String { "The request by which customers log in" }
    static var fields: [Field<LoginEndpoint>] {
        let method = Codec<Method>.choice().map({ $0.rawValue }, back: { Method(rawValue: $0) })
        return [
            .key("path", \.path, .httpPath, required: true, "Its path"),
            .key("method", \.method, method, "Its HTTP method"),
            .key("userField", \.userField, .name(.header), "The field that tells the user"),
        ]
    }
}

/// The three shapes of `source`.
private struct PathSource: Declared {
    var path = ""
    static var about: String { "A folder of this machine" }
    static var fields: [Field<PathSource>] {
        [.key("path", \.path, .localPath, required: true, "Relative to the fleet file, or absolute")]
    }
}

private struct GitSource: Declared {
    var url = ""
    var ref = "main"
    static var about: String { "A git repository" }
    static var fields: [Field<GitSource>] {
        [
            .key("git", \.url, .line("a repository's URL"), required: true, "Its URL, without a password"),
            .key("ref", \.ref, .name(.reference), "Branch, tag or commit"),
        ]
    }
}

private struct ArchiveSource: Declared {
    var file = ""
    static var about: String { "A tar archive" }
    static var fields: [Field<ArchiveSource>] {
        [.key("archive", \.file, .localPath, required: true, "Relative to the fleet file, or absolute")]
    }
}

extension Codec where Value == AppSource {
    static var appSource: Codec {
        .variant(
            "a mapping with 'path', 'git' or 'archive'",
            [
                Variant("path", PathSource.self) { .path($0.path) },
                Variant("git", GitSource.self) { .git(url: $0.url, ref: $0.ref) },
                Variant("archive", ArchiveSource.self) { .archive($0.file) },
            ])
    }
}
