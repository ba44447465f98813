import BasculeModel
import Glibc

/// The text of the edge's Nginx file.
enum EdgeConfiguration {
    static func text(_ spec: EdgeSpec) -> String {
        var out = "# Written by bascule-agent for the migration; removed by it. Do not edit.\n"
        let six = access("/proc/net/if_inet6", F_OK) == 0
        for domain in spec.domains {
            out += "server {\n    listen 80;\n"
            if six { out += "    listen [::]:80;\n" }
            if let certificate = spec.certificate, let key = spec.key {
                out += "    listen 443 ssl;\n"
                if six { out += "    listen [::]:443 ssl;\n" }
                out += "    ssl_certificate \(certificate);\n    ssl_certificate_key \(key);\n"
            }
            out += """
                    server_name \(domain);
                    client_max_body_size 64m;
                    error_page 503 @maintenance;
                    \(challenges(spec, domain))
                    location / {
                        if (-f \(SiteGate.flag("edge-\(domain)"))) { return 503; }
                        proxy_pass https://\(spec.newAddress);
                        proxy_ssl_server_name on;
                        proxy_ssl_name \(domain);
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Host \(domain);
                        proxy_set_header X-Forwarded-For $remote_addr;
                        proxy_set_header X-Forwarded-Proto $scheme;
                        proxy_connect_timeout 5s;
                    }
                    location @maintenance {
                        internal;
                        default_type text/html;
                        charset utf-8;
                        add_header Retry-After \(spec.retryAfter) always;
                        add_header Cache-Control no-store always;
                        return 503 '<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Maintenance</title><body style="font-family:system-ui;max-width:36em;margin:15vh auto;padding:0 1em"><h1>Nous revenons tout de suite</h1><p>La boutique est en maintenance pour quelques instants. Vos commandes et votre compte sont intacts.</p><h2 lang="en">We will be right back</h2><p lang="en">The shop is under maintenance for a moment. Your orders and your account are safe.</p></body></html>';
                    }
                }

                """
        }
        return out
    }

    private static func challenges(_ spec: EdgeSpec, _ domain: String) -> String {
        "location ^~ /.well-known/acme-challenge/ { proxy_pass http://\(spec.newAddress); proxy_set_header Host \(domain); }"
    }

    /// Port 80 as it is, but for the authority's questions; nil where that cannot be written.
    /// - Parameter answers: what port 80 answers to `EdgeProbe.paths`, by domain.
    static func old(_ spec: EdgeSpec, answers: [String: [EdgeProbe.Answer]]) -> String? {
        var out = "# Written by bascule-agent for the migration; removed by it. Do not edit.\n"
        for domain in spec.domains {
            let seen = answers[domain] ?? []
            let rest: String
            if let first = seen.first, [301, 302, 307, 308].contains(first.status),
                seen == EdgeProbe.paths.map({ .init(status: first.status, location: "https://\(domain)\($0)") })
            {
                rest = "return \(first.status) https://\(domain)$request_uri;"
            } else if let upstream = spec.upstream {
                rest = """
                    proxy_pass http://\(upstream); proxy_http_version 1.1; proxy_set_header Connection ""; \
                    proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-Proto http; \
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; client_max_body_size 64m;
                    """
            } else {
                return nil
            }
            out += """
                server {
                    listen 80;
                \(access("/proc/net/if_inet6", F_OK) == 0 ? "    listen [::]:80;\n" : "")\
                    server_name \(domain);
                    \(challenges(spec, domain))
                    location / { \(rest) }
                }

                """
        }
        return out
    }

    /// What is left to do by hand.
    static func todo(_ spec: EdgeSpec, _ reason: String) -> String {
        "todo-forward-challenges: add to the servers of \(spec.domains.joined(separator: ", ")) on port 80: "
            + challenges(spec, "$host") + " (not done: \(reason))"
    }
}
