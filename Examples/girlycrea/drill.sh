#!/usr/bin/env bash
# The drill: the demo's shop, backed up to another node, is lost; a blank node brings it back from there and serves it.
#
# Needs root. Its arguments go on to `bascule snapshot drill`. KEEP=1 leaves the nodes up afterwards. BASCULE names the program (default: dist/bascule beside this checkout).
set -euo pipefail
cd "$(dirname "$0")"
bascule=${BASCULE:-$(cd ../.. && pwd)/dist/bascule}
work=$(mktemp -d /tmp/bascule-drill.XXXXXX)

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
b() { "$bascule" "$@" --file backups.yaml --store "$work/shop.db"; }
lab() { "$bascule" lab "$@" --file backups.yaml; }
inside() { "$bascule" lab exec --file backups.yaml "$@"; }

clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "${KEEP:-}" ]; then
        echo "The nodes stay up: $bascule lab list; remove them with: $bascule lab down --file $(pwd)/backups.yaml"
    else
        lab down >/dev/null || true
        rm -rf "$work"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say "1. The shop's server, and another one that keeps its backups"
lab down >/dev/null
# The shop answers only once its tables are there.
b apply --yes --through install || [ $? -eq 3 ]
tar -C .. -cf - --exclude=report.md --exclude=report.json girlycrea | inside vps1 -- tar -C /opt -xf -
inside vps1 -- env UPLOADS_DIR=/srv/shop/uploads SHOP_DIR=/opt/girlycrea/shop /opt/girlycrea/seed/run.sh
inside vps1 -- chmod -R a+rX /srv/shop/uploads
b apply --yes

say "2. Its backups: base backup and WAL of PostgreSQL, files by Borg; what has arrived at the other node stays there"
b snapshot create
inside vps1 -- systemctl start bascule-backup-borg.service
b snapshot list
b snapshot archives

say "3. The server is lost: everything comes back on a blank node, from the other one's copies and the keys alone"
b snapshot drill "$@"
