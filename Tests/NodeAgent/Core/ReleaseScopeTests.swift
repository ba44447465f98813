import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Testing

@testable import BasculeAgentCore

/// What a token's release may change of what a node accepted: the archive and the release's digest, of its app alone.
@Suite struct ReleaseScopeTests {
    private static let recipe = Digest(of: Array("recipe".utf8))
    private static let archive = Digest(of: Array("new".utf8))

    private static func accepted(_ app: String, recipe: Digest? = recipe) -> [DesiredResource] {
        let old = Digest(of: Array("old \(app)".utf8))
        let release = ReleaseSpec(
            app: app, release: old, archive: .blob(old, size: 3), build: ["make"], buildEnv: ["A": Content("a")],
            env: ["B": Content("b")], user: app, root: "/srv/apps/\(app)", keep: 2, timeout: 60, recipe: recipe)
        let running = AppSpec(
            app: app, release: old, root: "/srv/apps/\(app)", ports: [3000, 3001], unit: "bascule-\(app)",
            healthPath: "/", healthTimeout: 5, drain: 1, upstreamFile: nil, upstream: app)
        return [
            DesiredResource(
                .release(release), on: "vps1", requires: [ResourceID("vps1/user:\(app)")], origin: "app \(app)"),
            DesiredResource(
                .app(running), on: "vps1", requires: [ResourceID("vps1/release:\(app)")], origin: "app \(app)"),
            DesiredResource(.file(FileSpec("/srv/\(app)", "x")), on: "vps1", origin: "t"),
        ]
    }

    @Test func onlyTheArchiveAndTheDigestAreExchanged() throws {
        let known = Self.accepted("shop") + Self.accepted("blog")
        let scope = try ReleaseScope(app: "shop", archive: Self.archive, size: 9, accepted: known)
        #expect(scope.before == Array(known[0..<2]) && scope.node == "vps1")
        #expect(scope.ids == ["vps1/release:shop", "vps1/app:shop"] && scope.after.map(\.id) == scope.ids)
        let wanted = Digest(of: ReleaseSpec.canonical(archive: Self.archive, recipe: Self.recipe))
        #expect(scope.release == wanted)
        guard case .release(var release) = scope.after[0].resource, case .app(var app) = scope.after[1].resource,
            case .release(let oldRelease) = known[0].resource, case .app(let oldApp) = known[1].resource
        else {
            Issue.record("other resources than a release and an app")
            return
        }
        #expect(release.release == wanted && app.release == wanted)
        #expect(release.archive == .blob(Self.archive, size: 9))
        // Everything else is as it was accepted.
        (release.release, release.archive, app.release) = (oldRelease.release, oldRelease.archive, oldApp.release)
        #expect(release == oldRelease && app == oldApp)
        #expect(scope.after.map(\.requires) == scope.before.map(\.requires))
    }

    @Test(arguments: [
        ("nosuch", 9, recipe as Digest?, archive, ErrorCode.tokenRefused), ("shop", 9, nil, archive, .tokenRefused),
        ("shop", 0, recipe, archive, .invalidInput),
        ("shop", TokenRules.largestArchive + 1, recipe, archive, .invalidInput),
        ("shop", 9, recipe, "../../etc/passwd", .invalidInput),
    ])
    func whatIsBeyondTheScopeIsRefused(
        _ app: String, _ size: Int, _ recipe: Digest?, _ archive: Digest, _ code: ErrorCode
    ) {
        let error = #expect(throws: BasculeError.self) {
            try ReleaseScope(
                app: app, archive: archive, size: size, accepted: Self.accepted("shop", recipe: recipe))
        }
        #expect(error?.code == code)
    }

    @Test func theRegisterDecides() throws {
        let folder = try Folder()
        let paths = AgentPaths(state: folder.path, runtime: folder.path)
        try DurableFile.save(["ci-1": "shop"], to: paths.tokens)
        let keeper = TokenKeeper(paths)
        try keeper.check("ci-1", app: "shop")
        for (token, app) in [("ci-1", "blog"), ("ci-2", "shop"), ("", "shop"), ("ci-1", "")] {
            let error = #expect(throws: BasculeError.self) { try keeper.check(token, app: app) }
            #expect(error?.code == .tokenRefused)
        }
    }

    @Test(arguments: [
        ("ci-1", true), ("a", true), ("9", true), ("", false), ("-a", false), ("A", false), ("a b", false),
        ("a\"b", false), ("a\nb", false), ("ä", false), (String(repeating: "a", count: 41), false),
    ])
    func namesAreSafeInAForcedCommand(_ name: String, _ isName: Bool) { #expect(TokenRules.isName(name) == isName) }

    @Test func nothingOfTheControllersProtocolIsUnderstoodAtTheDoor() throws {
        let file = DesiredResource(.file(FileSpec("/etc/motd", "x")), on: "n", origin: "t")
        let others: [Request] = [.facts, .status, .manifest([file]), .release(nil), .publicKey(purpose: "x"), .leave]
        for request in others {
            #expect(throws: BasculeError.self) { try Wire.decode(DoorRequest.self, from: Wire.encode(request)) }
        }
    }
}
