import BasculeModel
import Testing

/// An ACME authority on a lab node with Debian 13, to be asked by other nodes.
extension Scene {
    /// Pebble, with a root of its own for its directory, and the name server that it asks and certbot writes to.
    static let authority = """
        set -e
        mkdir -p /etc/pebble; cd /etc/pebble
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=lab -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=pebble -keyout pebble.key -out pebble.csr
        printf 'subjectAltName=IP:%s' "$1" > names
        openssl x509 -req -in pebble.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out pebble.pem
        cat > pebble.json <<END
        {"pebble": {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "127.0.0.1:15000",
         "certificate": "/etc/pebble/pebble.pem", "privateKey": "/etc/pebble/pebble.key", "httpPort": 80, "tlsPort": 443,
         "externalAccountBindingRequired": ${3:-false}, "externalAccountMACKeys": {"shop-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
         "certificateValidityPeriod": 7776000}}
        END
        tsig-keygen -a hmac-sha512 acme > /etc/bind/acme.key
        cat > /etc/bind/named.conf.local <<END
        include "/etc/bind/acme.key";
        zone "shop.example" { type primary; file "/var/cache/bind/shop.db"; allow-update { key acme; }; };
        END
        cat > /etc/bind/named.conf.options <<END
        options { directory "/var/cache/bind"; listen-on { any; }; allow-query { any; }; recursion no; dnssec-validation no; };
        END
        printf '$TTL 1\\n@ SOA ns h 1 60 60 600 1\\n@ NS ns\\nns A %s\\n@ A %s\\nwww A %s\\n' "$1" "$2" "$2" > /var/cache/bind/shop.db
        chown bind: /var/cache/bind/shop.db /etc/bind/acme.key
        cat > /etc/systemd/system/pebble.service <<END
        [Service]
        Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0
        ExecStart=/usr/bin/pebble -config /etc/pebble/pebble.json -dnsserver 127.0.0.1:53 -strict
        END
        cat > /root/point <<END
        #!/bin/sh
        printf 'server 127.0.0.1\\nupdate delete www.shop.example A\\nupdate add www.shop.example 1 A %s\\nsend\\n' "\\$1" | nsupdate -k /etc/bind/acme.key
        END
        chmod 755 /root/point
        systemctl daemon-reload; systemctl restart named pebble
        """

    /// What an authority's node needs.
    static let authorityPackages = "[pebble, bind9, bind9-dnsutils, openssl]"

    /// Starts Pebble and BIND on a node, whose zone points to `site`, and writes the authority's root to `authority.pem`.
    /// `/root/point ADDRESS` there moves www.shop.example, `/etc/bind/acme.key` may change the zone.
    /// - Parameter binding: an account must show the key that came with the name `shop-1`.
    func startAuthority(on node: NodeName, site: String, binding: Bool = false) async throws {
        let own = try await lab.node(node).address
        _ = try await run(node, "tee", "/root/authority.sh", stdin: Self.authority)
        try await shell(node, "sh /root/authority.sh \(own) \(site) \(binding) 2>/root/authority.log")
        try write("authority.pem", try await shell(node, "cat /etc/pebble/ca.pem"))
    }
}
