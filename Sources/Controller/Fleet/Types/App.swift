import BasculeModel

/// An app: what is built, how it runs, where it listens, who reaches it.
package struct App: Sendable, Equatable {
    package enum Runtime: String, Sendable, Hashable, CaseIterable { case systemd, pm2 }

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
    /// Where customers log in, for the criterion `usersUnableToLogIn`.
    package var login: LoginEndpoint?
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
