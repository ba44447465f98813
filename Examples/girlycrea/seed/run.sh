#!/bin/sh
# Fills the old world: PostgreSQL (as the local superuser, over the socket), Redis and the uploads directory.
# Environment: UPLOADS_DIR, SHOP_DIR (where lib/passwords.js is), and optionally DATABASE (default: shop) and REDIS_URL,
# without which Redis stays as it is.
# The database must exist, be empty and belong to the role `shop`; roles.sql has run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${UPLOADS_DIR:?}" "${SHOP_DIR:?}"
database=${DATABASE:-shop}
export NODE_PATH=/usr/share/nodejs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

super() { (cd / && runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 -d "$database" "$@"); }

# Redis fills while PostgreSQL does: two machines' worth of work on two cores.
redis=
if [ -n "${REDIS_URL:-}" ]; then
    (node "$here/redis.js" | redis-cli -u "$REDIS_URL" --no-auth-warning --pipe >"$work/redis.log" 2>&1) &
    redis=$!
fi

{ echo 'SET ROLE shop;'; cat "$here/../schema.sql"; } | super >/dev/null
node "$here/uploads.js" "$UPLOADS_DIR" >"$work/uploads.tsv"
super -c 'COPY uploads (id, path, mime, bytes, sha256, created_at) FROM STDIN' <"$work/uploads.tsv"
super -v hashes="$(node "$here/passwords.js" "$SHOP_DIR")" <"$here/database.sql" >/dev/null

[ -n "$redis" ] || exit 0
wait $redis || { cat "$work/redis.log" >&2; exit 1; }
grep -q 'errors: 0' "$work/redis.log" || { cat "$work/redis.log" >&2; exit 1; }
