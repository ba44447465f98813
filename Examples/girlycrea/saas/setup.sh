#!/bin/bash
# Turns a Debian 13 node into the shop's old world: PostgreSQL 17, Redis 8, two instances of the shop, the old Nginx
# edge, the uploads, an rsync login, and the authoritative name server of the zone shop.example.
#
# Run as root inside the node, from a copy of Examples/girlycrea:  SAAS_ADDRESS=10.0.0.2 saas/setup.sh
#   SAAS_ADDRESS        the node's own address (required)
#   SAAS_ALLOW          who may reach PostgreSQL: `samenet` (default) or a CIDR block
#   DEPLOY_PUBLIC_KEY   one more key that may fetch the uploads (a line for authorized_keys)
#   SAAS_TTL            the zone's TTL in seconds (default 60)
#   RESEED=1            drop the shop's data and make it again
# Idempotent: passwords and data stay as they are, configuration and the zone go back to how they start.
# Secrets end in /root/saas-secrets.env and, one file each, in /root/saas-secrets/.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
example=$(dirname "$here")
: "${SAAS_ADDRESS:?set SAAS_ADDRESS to the node\'s own address}"
allow=${SAAS_ALLOW:-samenet}
app=/var/www/app
uploads=$app/public/uploads
secrets=/root/saas-secrets
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /

started=$(date +%s.%N)
say() { printf '%5.1f s  %s\n' "$(echo "$(date +%s.%N) $started" | awk '{print $1 - $2}')" "$*"; }

# --- packages: nothing to do on a layer that has them --------------------------------------------------------------
missing=()
while read -r package; do
    [ -z "$package" ] || [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done <"$here/packages.txt"
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${#missing[@]} packages"
    apt-get update -q >/dev/null
    apt-get install -qqy --no-install-recommends "${missing[@]}" >/var/log/girlycrea-apt.log 2>&1 || { tail -20 /var/log/girlycrea-apt.log >&2; exit 1; }
fi

# --- secrets: made once, kept for ever -------------------------------------------------------------------------------
install -d -m 0700 "$secrets"
secret() { # NAME COMMAND…: the file's content, made by the command the first time
    local file=$secrets/$1
    shift
    [ -s "$file" ] || (umask 077 && printf %s "$("$@")" >"$file")
    cat "$file"
}
token() { openssl rand -hex 20; }
put() { (umask 077 && printf %s "$2" >"$secrets/$1"); }
shop_password=$(secret SHOP_PASSWORD token)
migrator_password=$(secret MIGRATOR_PASSWORD token)
authenticator_password=$(secret AUTHENTICATOR_PASSWORD token)
back_office_password=$(secret BACK_OFFICE_PASSWORD token)
redis_password=$(secret REDIS_PASSWORD token)
redis_shop_password=$(secret REDIS_SHOP_PASSWORD token)
session_secret=$(secret SESSION_SECRET openssl rand -hex 32)
tsig_secret=$(secret TSIG_SECRET openssl rand -base64 32)
put SOURCE_DATABASE_URL "postgresql://migrator:$migrator_password@$SAAS_ADDRESS:5432/shop?sslmode=require"
put SOURCE_REDIS_URL "redis://default:$redis_password@$SAAS_ADDRESS:6379/0"
put TSIG "hmac-sha256:bascule-shop:$tsig_secret"

# PostgreSQL and Redis bind the node's address by name: after a reboot they may start before the address is there.
echo 'net.ipv4.ip_nonlocal_bind = 1' >/etc/sysctl.d/60-girlycrea.conf
echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind || true

# --- PostgreSQL ------------------------------------------------------------------------------------------------------
version=$(ls /etc/postgresql | sort -n | tail -1)
cat >"/etc/postgresql/$version/main/conf.d/girlycrea.conf" <<END
listen_addresses = 'localhost,$SAAS_ADDRESS'
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = '/etc/ssl/certs/ssl-cert-snakeoil.pem'
ssl_key_file = '/etc/ssl/private/ssl-cert-snakeoil.key'
wal_level = logical
shared_buffers = 128MB
max_wal_size = 1GB
jit = off
END
hba=/etc/postgresql/$version/main/pg_hba.conf
cat >"$hba" <<END
local   all   postgres                  peer
local   all   all                       scram-sha-256
host    all   all        127.0.0.1/32   scram-sha-256
host    all   all        ::1/128        scram-sha-256
host    all   all        $allow         scram-sha-256
END
chown postgres:postgres "$hba"
chmod 0640 "$hba"
systemctl enable -q postgresql
systemctl restart "postgresql@$version-main"
super() { runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 "$@"; }
super -d postgres -v shop_password="$shop_password" -v migrator_password="$migrator_password" \
    -v authenticator_password="$authenticator_password" -v back_office_password="$back_office_password" \
    <"$example/roles.sql"
say "PostgreSQL $version"

# --- Redis -----------------------------------------------------------------------------------------------------------
# Two users: `shop` for the shop, `default` for everything else, so that the shop's writes can be taken away alone.
(umask 077 && cat >/etc/redis/girlycrea.conf <<END
bind 127.0.0.1 $SAAS_ADDRESS
protected-mode yes
requirepass $redis_password
user shop on >$redis_shop_password ~* &* +@all -@admin
maxmemory 256mb
maxmemory-policy noeviction
END
)
chown redis:redis /etc/redis/girlycrea.conf
grep -qx 'include /etc/redis/girlycrea.conf' /etc/redis/redis.conf || echo 'include /etc/redis/girlycrea.conf' >>/etc/redis/redis.conf
systemctl enable -q redis-server
systemctl restart redis-server
for _ in $(seq 50); do redis-cli -a "$redis_password" --no-auth-warning ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
say "Redis $(redis-cli -a "$redis_password" --no-auth-warning info server | tr -d '\r' | sed -n 's/^redis_version://p')"

# --- the shop's files and its data -----------------------------------------------------------------------------------
getent passwd shop >/dev/null || useradd --system --home-dir "$app" --shell /usr/sbin/nologin shop
getent passwd deploy >/dev/null || useradd --create-home --shell /bin/sh deploy
install -d "$app"
cp -rT "$example/shop" "$app"
install -d -o deploy -g shop -m 0755 "$uploads"
if [ "${RESEED:-0}" = 1 ]; then
    systemctl stop 'shop@*' 2>/dev/null || true
    super -d postgres -c 'DROP DATABASE IF EXISTS shop WITH (FORCE)'
    redis-cli -a "$redis_password" --no-auth-warning flushall >/dev/null
    rm -rf "${uploads:?}"/*
fi
if [ -z "$(super -d postgres -tAc "SELECT 1 FROM pg_database WHERE datname = 'shop'")" ]; then
    # template0 and UTF8 whatever locale the packages were installed under.
    super -d postgres -c "CREATE DATABASE shop OWNER shop TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
    super -d postgres -c 'REVOKE CONNECT, TEMPORARY ON DATABASE shop FROM PUBLIC' \
        -c 'GRANT CONNECT ON DATABASE shop TO shop, migrator, authenticator, back_office' \
        -c 'GRANT CREATE ON DATABASE shop TO migrator'
    if ! UPLOADS_DIR=$uploads REDIS_URL="redis://default:$redis_password@127.0.0.1:6379/0" SHOP_DIR=$app \
        sh "$example/seed/run.sh"; then
        # A half-filled database would look filled to the next run.
        super -d postgres -c 'DROP DATABASE shop WITH (FORCE)'
        exit 1
    fi
    chown -R deploy:shop "$uploads"
    say 'data made'
fi

# --- the shop's two instances ----------------------------------------------------------------------------------------
install -d -m 0755 /etc/shop
(umask 077 && cat >/etc/shop/shop.env <<END
NODE_ENV=production
NODE_PATH=/usr/share/nodejs
DATABASE_URL=postgresql://shop:$shop_password@127.0.0.1:5432/shop
REDIS_URL=redis://shop:$redis_shop_password@127.0.0.1:6379/0
SESSION_SECRET=$session_secret
UPLOADS_DIR=$uploads
END
)
cat >/etc/systemd/system/shop@.service <<END
[Unit]
Description=GirlyCrea shop on port %i
After=network.target postgresql.service redis-server.service

[Service]
User=shop
WorkingDirectory=$app
EnvironmentFile=/etc/shop/shop.env
Environment=PORT=%i SHOP_INSTANCE=saas-%i
ExecStart=/usr/bin/node server.js
Restart=always
RestartSec=1
TimeoutStopSec=6
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q shop@3001 shop@3002
systemctl restart shop@3001 shop@3002

# --- the old edge ----------------------------------------------------------------------------------------------------
if [ ! -s /etc/ssl/private/shop.example.key ]; then
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 \
        -subj /CN=shop.example -addext 'subjectAltName=DNS:shop.example,DNS:www.shop.example' \
        -keyout /etc/ssl/private/shop.example.key -out /etc/ssl/certs/shop.example.pem 2>/dev/null)
    chmod 0644 /etc/ssl/certs/shop.example.pem
fi
cat >/etc/nginx/sites-available/shop.conf <<'END'
upstream shop {
    server 127.0.0.1:3001;
    server 127.0.0.1:3002;
    keepalive 16;
}
server {
    listen 80;
    listen 443 ssl;
    server_name shop.example www.shop.example;
    ssl_certificate /etc/ssl/certs/shop.example.pem;
    ssl_certificate_key /etc/ssl/private/shop.example.key;
    client_max_body_size 1m;
    location / {
        proxy_pass http://shop;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 2s;
        proxy_read_timeout 15s;
    }
}
END
ln -sf ../sites-available/shop.conf /etc/nginx/sites-enabled/shop.conf
rm -f /etc/nginx/sites-enabled/default
nginx -tq
systemctl enable -q nginx
systemctl restart nginx

# --- the uploads by rsync --------------------------------------------------------------------------------------------
install -d -o deploy -g deploy -m 0700 ~deploy/.ssh
if [ ! -s "$secrets/SOURCE_UPLOADS_KEY" ]; then
    ssh-keygen -q -t ed25519 -N '' -C uploads -f "$secrets/SOURCE_UPLOADS_KEY"
fi
{
    printf 'restrict %s\n' "$(cat "$secrets/SOURCE_UPLOADS_KEY.pub")"
    [ -z "${DEPLOY_PUBLIC_KEY:-}" ] || printf 'restrict %s\n' "$DEPLOY_PUBLIC_KEY"
} >~deploy/.ssh/authorized_keys
chown deploy:deploy ~deploy/.ssh/authorized_keys
chmod 0600 ~deploy/.ssh/authorized_keys
[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
systemctl is-active -q ssh || systemctl enable -q --now ssh
put SOURCE_UPLOADS "deploy@$SAAS_ADDRESS:$uploads"
put SOURCE_UPLOADS_HOSTKEY "$(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)"

# --- the zone --------------------------------------------------------------------------------------------------------
cat >/etc/bind/named.conf.options <<END
options {
    directory "/var/cache/bind";
    listen-on { 127.0.0.1; $SAAS_ADDRESS; };
    listen-on-v6 { none; };
    recursion no;
    allow-transfer { none; };
    dnssec-validation no;
};
END
# The key may change the addresses of this one name and nothing else.
(umask 027 && cat >/etc/bind/named.conf.local <<END
key "bascule-shop" { algorithm hmac-sha256; secret "$tsig_secret"; };
zone "shop.example" {
    type primary;
    file "/var/lib/bind/shop.example.zone";
    update-policy { grant bascule-shop name shop.example. A AAAA; };
};
END
)
chgrp bind /etc/bind/named.conf.local
systemctl stop named
rm -f /var/lib/bind/shop.example.zone.jnl
cat >/var/lib/bind/shop.example.zone <<END
\$TTL ${SAAS_TTL:-60}
@    IN SOA ns.shop.example. admin.shop.example. ( $(date +%s) 3600 600 86400 60 )
     IN NS  ns.shop.example.
     IN A   $SAAS_ADDRESS
ns   IN A   $SAAS_ADDRESS
www  IN CNAME shop.example.
END
chown bind:bind /var/lib/bind/shop.example.zone
systemctl enable -q named
systemctl start named

# --- it all answers --------------------------------------------------------------------------------------------------
answer() { # URL…: the answer's body, over the old edge under the shop's own name
    node -e 'const http = require("http"); http.get({host: process.argv[1], path: process.argv[2], headers: {host: "shop.example"}},
        (r) => { r.pipe(process.stdout); process.exitCode = r.statusCode === 200 ? 0 : 1; }).on("error", () => process.exit(1));' "$@"
}
health=
for _ in $(seq 60); do health=$(answer "$SAAS_ADDRESS" /healthz 2>/dev/null) && break; sleep 0.25; done
[ -n "$health" ] && answer "$SAAS_ADDRESS" / >/dev/null || { echo "the shop does not answer: $health" >&2; exit 1; }
[ "$(dig +short +time=2 +tries=2 @"$SAAS_ADDRESS" shop.example A)" = "$SAAS_ADDRESS" ] || { echo 'the zone does not answer' >&2; exit 1; }
(umask 077 && for file in "$secrets"/*; do
    case $file in *_KEY | *.pub) ;; *) printf "%s='%s'\n" "$(basename "$file")" "$(cat "$file")" ;; esac
done >/root/saas-secrets.env)
say "the old world serves: $health"
