/// Makes a node the world, for tests of mail.
enum MailWorld {
    /// Names, a receiving server, and a judge. Arguments: the addresses of the shop's node and of this one, and the secret
    /// that may change the shop's zone. The old sender's SPF record is there, and somebody else's TXT record; the PTR
    /// record is the provider's.
    static let script = #"""
        set -e
        SHOP=$1; WORLD=$2; SECRET=$3
        ZREV=$(echo $SHOP | awk -F. '{print $3"."$2"."$1}').in-addr.arpa
        mkdir -p /var/lib/bind/lab; cd /var/lib/bind/lab
        soa='$TTL 60
        @ IN SOA ns.world.example. owner.world.example. 1 60 60 3600 1
        @ IN NS ns.world.example.'
        printf '%s\n' "$soa" '@ IN TXT "site-verification=1"' '@ IN TXT "v=spf1 include:_spf.old.example ~all"' '@ IN MX 10 mx.world.example.' > shop.zone
        printf '%s\n' "$soa" "ns IN A $WORLD" "mx IN A $WORLD" '@ IN MX 10 mx' 'shop.example._report._dmarc IN TXT "v=DMARC1"' > world.zone
        printf '%s\n' "$soa" "$(echo $SHOP | cut -d. -f4) IN PTR mail.shop.example." "$(echo $WORLD | cut -d. -f4) IN PTR mx.world.example." > rev.zone
        printf '%s\n' "$soa" '_spf IN TXT "v=spf1 ip4:192.0.2.99 -all"' > old.zone
        chown -R bind:bind /var/lib/bind/lab
        cat > /etc/bind/named.conf <<N
        options { directory "/var/cache/bind"; recursion no; dnssec-validation no; listen-on { any; }; listen-on-v6 { none; }; };
        key "publish" { algorithm hmac-sha256; secret "$SECRET"; };
        zone "shop.example" { type primary; file "/var/lib/bind/lab/shop.zone"; allow-update { key "publish"; }; };
        zone "world.example" { type primary; file "/var/lib/bind/lab/world.zone"; };
        zone "old.example" { type primary; file "/var/lib/bind/lab/old.zone"; };
        zone "$ZREV" { type primary; file "/var/lib/bind/lab/rev.zone"; };
        N
        systemctl enable -q named
        systemctl restart named
        echo "nameserver 127.0.0.1" > /etc/resolv.conf
        mkdir -p /etc/rspamd/local.d
        cat > /etc/rspamd/local.d/options.inc <<N
        dns { nameserver = ["127.0.0.1"]; timeout = 1s; retransmits = 2; }
        local_addrs = ["127.0.0.0/8"];
        N
        for module in spf dkim dmarc; do echo 'check_local = true;' > /etc/rspamd/local.d/$module.conf; done
        printf 'use = ["authentication-results", "x-spamd-result", "x-spam-level"];\nskip_local = false;\n' > /etc/rspamd/local.d/milter_headers.conf
        echo 'bind_socket = "127.0.0.1:11332"; milter = yes; timeout = 60s; upstream "local" { default = yes; self_scan = yes; }' > /etc/rspamd/local.d/worker-proxy.inc
        systemctl restart rspamd
        postconf -e 'myhostname = mx.world.example' 'mydestination = world.example, $myhostname, localhost' 'mynetworks = 127.0.0.0/8' \
          'inet_protocols = ipv4' 'inet_interfaces = all' 'smtpd_milters = inet:127.0.0.1:11332' 'milter_default_action = tempfail' 'milter_protocol = 6' \
          'smtpd_tls_received_header = yes' 'smtpd_tls_security_level = may' 'smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem' 'smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key'
        systemctl enable -q postfix
        systemctl restart postfix
        """#
}
