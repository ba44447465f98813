import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// What the keys of nginx and certificates do to what is written.
@Suite struct WebTests {
    private let folder: CatalogueFolder

    init() throws {
        folder = try CatalogueFolder([
            "authority.pem": "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", "empty.pem": "\n",
        ])
    }

    private func fleet(_ services: String, app: String = "", more: String = "") -> String {
        """
        fleet: web
        nodes: {vps1: {address: 192.0.2.1}, old: {address: 192.0.2.2}}
        topologies: {only: {vps1: [web, app]}}
        services: {\(services)}
        apps:
          shop: {source: {path: ./shop}, start: node server.js, port: 3000, domains: [shop.example, www.shop.example]\(app)}
        \(more)
        """
    }

    private static let site = "/etc/nginx/sites-available/bascule-shop.conf"
    private static let shared = "/etc/nginx/conf.d/bascule.conf"
    private static let headers = "/etc/nginx/bascule/headers-shop.conf"
    private static let proxy = "/etc/nginx/bascule/proxy-shop.conf"
    private static let main = "/etc/nginx/nginx.conf"

    /// Keys of nginx, a file, what it then says, and what it does not.
    private static let keys: [(String, String, has: [String], hasNot: [String])] = [
        (
            "", main, ["ssl_protocols TLSv1.2 TLSv1.3;", "server_tokens off;", "worker_connections 1024;"],
            ["DHE-RSA-AES128-SHA", "ssl_dhparam", "ssl_stapling"]
        ),
        ("connections: 4000", main, ["worker_connections 8000;"], []),
        (
            "", shared, ["rate=20r/s", "rate=100r/s", "rate=10r/m", "ssl_reject_handshake on;", "stub_status;"],
            ["set_real_ip_from"]
        ),
        (
            "rateLimit: off, loginLimit: off, connectionLimit: off, gzip: false", shared, [],
            ["limit_req_zone", "limit_conn_zone", "gzip_types"]
        ),
        (
            "cdn: cloudflare", shared,
            ["set_real_ip_from 104.16.0.0/13;", "set_real_ip_from 2c0f:f248::/32;", "real_ip_recursive on;"], []
        ),
        ("cdn: [198.51.100.0/24]", shared, ["set_real_ip_from 198.51.100.0/24;"], ["104.16"]),
        ("", headers, ["Strict-Transport-Security"], []),
        ("", shared, ["max-age=63072000"], []),
        ("hsts: 1d", shared, ["max-age=86400"], []),
        ("hsts: off", headers, ["X-Frame-Options"], ["Strict-Transport-Security"]),
        ("hsts: off", proxy, [], ["proxy_hide_header Strict-Transport-Security"]),
        (
            "", site, ["limit_req zone=bascule burst=40 nodelay;", "limit_conn bascule_connections 200;"],
            [
                "gzip on;\n        include /etc/nginx/bascule/proxy-shop.conf;\n    }\n    # The app's own files",
                "ssl_stapling", "acme-challenge",
            ]
        ),
        ("", proxy, ["proxy_next_upstream error timeout;"], ["non_idempotent;"]),
    ]

    @Test(arguments: keys.indices) func keysOfNginx(_ index: Int) throws {
        let (keys, path, has, hasNot) = Self.keys[index]
        let text = try folder.compile(fleet("nginx: {\(keys)}")).text(path)
        for part in has { #expect(text.contains(part), "\(keys): \(path) lacks \(part)") }
        for part in hasNot { #expect(!text.contains(part), "\(keys): \(path) has \(part)") }
    }

    @Test func pagesAreCompressedOnlyByChoice() throws {
        func location(_ keys: String) throws -> Substring {
            let text = try folder.compile(fleet("nginx: {\(keys)}")).text(Self.site)
            let start = try #require(text.range(of: "        # Asked for each request"))
            let end = try #require(text[start.upperBound...].range(of: "\n    }\n"))
            return text[start.upperBound..<end.lowerBound]
        }
        #expect(try !location("").contains("gzip on;"))
        #expect(try location("gzip: {dynamic: true}").contains("gzip on;"))
        #expect(try !location("gzip: false").contains("gzip"))
    }

    @Test func noHSTSBeforeAMigrationsWatchHasEnded() throws {
        let migration = "migration: {edge: {node: old}}"
        for (ended, keys, isSent) in [(false, "", false), (true, "", true), (false, "hsts: 1d", true)] {
            let compiled = try folder.compile(fleet("nginx: {\(keys)}", more: migration)) {
                $0.watchEnded = ended
                $0.addresses = ["old": "192.0.2.2"]
            }
            #expect(compiled.text(Self.headers).contains("Strict-Transport-Security") == isSent)
            #expect(compiled.text(Self.proxy).contains("proxy_hide_header Strict-Transport-Security;") != isSent)
            #expect(compiled.text(Self.shared).contains("set_real_ip_from 192.0.2.2;"))
        }
    }

    @Test func anInstanceIsPassedOverByAFlag() throws {
        let text = try folder.compile(fleet("nginx: {}", app: ", instances: 2")).text(Self.site)
        let line = "if (-f /etc/nginx/bascule/drained-shop-3001) { set $bascule_upstream bascule_shop_without_3001; }"
        #expect(text.components(separatedBy: line).count == 3, "for customers and for the inner listener")
        #expect(try !folder.compile(fleet("nginx: {}")).text(Self.site).contains("drained"), "nobody stands in")
        let own = try CatalogueFolder(["templates/nginx-site.conf": "server { server_name {{domains}}; }\n"])
        #expect(try own.error(fleet("nginx: {}", app: ", instances: 2"))?.code == .catalogueTemplate)
        #expect(try own.error(fleet("nginx: {}")) == nil)
    }

    @Test func anAuthoritysPairIsReadAtEachHandshake() throws {
        let pair = "ssl_certificate /etc/nginx/bascule/tls/shop.pem$bascule_now;"
        let compiled = try folder.compile(fleet("nginx: {}, certificates: {}"))
        #expect(compiled.text(Self.site).contains(pair))
        #expect(compiled.text("/usr/local/sbin/bascule-certificates").contains("chgrp www-data"))
        #expect(!compiled.text("/usr/local/sbin/bascule-certificates").contains("systemctl reload"))
        #expect(try !folder.compile(fleet("nginx: {}")).text(Self.site).contains("$bascule_now"))
    }

    @Test func loginPathHasALimitOfItsOwn() throws {
        let compiled = try folder.compile(fleet("nginx: {}", app: ", login: {path: \"/api/login?next=1\"}"))
        #expect(compiled.text(Self.site).contains("location = /api/login {"))
        #expect(compiled.text(Self.site).contains("limit_req zone=bascule_login burst=10 nodelay;"))
        let off = try folder.compile(fleet("nginx: {loginLimit: off}", app: ", login: {path: /api/login}"))
        #expect(!off.text(Self.site).contains("/api/login"))
    }

    @Test func foldersAreSentByTheirOwnRules() throws {
        let app = ", files: {/uploads: {folder: /srv/shop/up}, /assets/: {folder: dist, maxAge: 365d, trusted: true}}"
        let compiled = try folder.compile(fleet("nginx: {}", app: app))
        let text = compiled.text(Self.site)
        #expect(text.contains("location ^~ /uploads/ {") && text.contains("alias /srv/shop/up/;"))
        #expect(text.contains("alias /srv/apps/shop/current/app/dist/;") && text.contains("max-age=31536000"))
        #expect(text.components(separatedBy: "sandbox\" always;").count == 2, "only strangers' files are locked in")
        guard case .command(let reading)? = compiled.find("command:web-reads-/srv/shop/up")?.resource else {
            Issue.record("www-data cannot read the uploads")
            return
        }
        #expect(reading.command.last == "/srv/shop/up" && reading.unless.contains("www-data"))
        #expect(compiled.find("user:www-data") == nil, "its group may read the app's secrets")
    }

    @Test func memoryIsSaid() throws {
        let share = try #require(
            try folder.compile(fleet("nginx: {connections: 1024}")) { $0.cpus = ["vps1": 4] }.memory.first {
                $0.service == "nginx"
            })
        #expect(share.bytes == (6 + 4 * 8 + 20 + 64) << 20)
    }

    // MARK: - Caddy

    @Test func caddyServesTheSameApps() throws {
        let app = ", instances: 2, files: {/up/: {folder: /srv/up}}"
        let compiled = try folder.compile(fleet("caddy: {}, certificates: {}", app: app))
        let text = compiled.text("/etc/caddy/Caddyfile")
        for part in [
            "https://shop.example, https://www.shop.example {", "reverse_proxy 127.0.0.1:3000 127.0.0.1:3001 {",
            "try_files /drained-shop-3001",
            "tls /etc/caddy/bascule/tls/shop.pem /etc/caddy/bascule/tls/shop.pem {", "auto_https disable_certs",
            "handle_path /up/* {", "max-age=63072000", "protocols h1 h2",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(compiled.rules() == ["tcp/22", "tcp/80", "tcp/443"])
        #expect(compiled.find("package:nginx") == nil && compiled.unit("caddy.service") != nil)
        #expect(compiled.text("/usr/local/sbin/bascule-certificates").contains("chgrp caddy"))
        guard case .app(let spec)? = compiled.find("app:shop")?.resource else { throw CancellationError() }
        #expect(spec.upstreamFile == "/etc/caddy/bascule/upstream-shop.conf", "the flags stand beside it")
        #expect(compiled.warnings.isEmpty)
        let login = try folder.compile(fleet("caddy: {}", app: ", login: {path: /in}")).warnings
        #expect(login.map(\.code) == [.catalogueLater])
        let alone = try folder.compile(fleet("caddy: {}")).text("/etc/caddy/Caddyfile")
        #expect(alone.contains("tls internal {") && alone.contains("auto_https disable_redirects"))
    }

    @Test func caddyIsRefusedInAMigration() throws {
        let error = try #require(try folder.error(fleet("caddy: {}", more: "migration: {edge: {node: old}}")))
        #expect(error.code == .catalogueLater)
    }

    // MARK: - Certificates

    @Test func beforeTheSwitchTheOldServerPassesQuestionsOn() throws {
        let program = "/usr/local/sbin/bascule-certificates"
        for (migration, ended, isForwarded, isToDo) in [
            ("", false, false, false), ("migration: {edge: {node: old}}", false, true, false),
            ("migration: {window: {length: 30m}}", false, true, true),
            ("migration: {window: {length: 30m}}", true, false, false),
        ] {
            let compiled = try folder.compile(fleet("nginx: {}, certificates: {}", more: migration)) {
                $0.watchEnded = ended
                $0.addresses = ["old": "192.0.2.2", "vps1": "192.0.2.1"]
            }
            #expect(compiled.challengesComeByTheOldEdge == isForwarded, "\(migration)")
            #expect(compiled.text(program).contains("todo-forward-challenges") == isForwarded)
            let todo = compiled.warnings.first { $0.code == .forwardChallenges }
            #expect((todo != nil) == isToDo)
            #expect(todo.map { $0.hint?.contains("proxy_pass http://192.0.2.1;") == true } ?? true)
        }
    }

    @Test func certificatesComeOverHTTPWithoutANameServer() throws {
        let compiled = try folder.compile(
            fleet("nginx: {}, certificates: {email: a@shop.example, caBundle: authority.pem}"))
        #expect(compiled.text("/etc/bascule-certificates/list") == "shop shop.example www.shop.example\n")
        let ini = compiled.text("/etc/bascule-certificates/certbot.ini")
        #expect(ini.contains("authenticator = webroot") && ini.contains("email = a@shop.example"))
        #expect(ini.contains("server = https://acme-v02.api.letsencrypt.org/directory"))
        #expect(compiled.find("package:python3-certbot-dns-rfc2136") == nil)
        let site = compiled.text(Self.site)
        #expect(site.contains("ssl_certificate /etc/nginx/bascule/tls/shop.pem$bascule_now;"))
        #expect(site.components(separatedBy: "location ^~ /.well-known/acme-challenge/").count == 3)
        #expect(compiled.text("/usr/local/sbin/bascule-certificates").contains("REQUESTS_CA_BUNDLE"))
        let nginx = try #require(compiled.find("unit:nginx.service"))
        #expect(nginx.requires.contains("vps1/command:certificates-place"))
        let issue = try #require(compiled.find("command:certificates"))
        #expect(issue.requires.contains("vps1/unit:nginx.service"))
        #expect(issue.requires.contains("vps1/firewall:inbound"))
    }

    @Test func nameServerOfTheMigrationProvesNames() throws {
        let more = """
            migration:
              dns: {zone: shop.example, server: old, port: 5353, tsig: !secret T, records: {shop.example: {A: vps1}}}
            """
        let compiled = try folder.compile(fleet("nginx: {}, certificates: {}", more: more)) {
            $0.addresses = ["old": "192.0.2.2"]
        }
        let ini = compiled.text("/etc/bascule-certificates/certbot.ini")
        #expect(ini.contains("authenticator = dns-rfc2136") && ini.contains("register-unsafely-without-email"))
        let program = compiled.text("/usr/local/sbin/bascule-certificates")
        #expect(program.contains("dns_rfc2136_server = 192.0.2.2\"") && program.contains("dns_rfc2136_port = 5353\""))
        #expect(compiled.text("/etc/bascule-certificates/tsig") == "‹secret T›\n")
        #expect(!compiled.text(Self.site).contains("acme-challenge"))
    }

    @Test func accountKeyStaysAPlaceholder() throws {
        let compiled = try folder.compile(
            fleet("nginx: {}, certificates: {account: {keyID: kid-1, key: !secret EAB}}"))
        let ini = compiled.text("/etc/bascule-certificates/certbot.ini")
        #expect(ini.contains("eab-kid = kid-1\neab-hmac-key = ‹secret EAB›\n"))
        #expect(compiled.secrets["EAB"] == .given)
    }

    @Test(arguments: [
        ("{challenge: http-01}", "*.shop.example", "wildcard"), ("{challenge: dns-01}", "a.example", "name server"),
        ("{caBundle: empty.pem}", "a.example", "PEM"),
        ("{dns: {server: ns.example, tsig: !secret T}}", "a.example", "is a name"),
    ]) func whatCannotBeIssuedIsRefused(_ keys: String, _ domain: String, _ word: String) throws {
        let text = fleet("nginx: {}, certificates: \(keys)").replacing(
            "[shop.example, www", with: "[\"\(domain)\", www")
        let error = try #require(try folder.error(text))
        #expect(error.message.contains(word), "\(error)")
    }
}
