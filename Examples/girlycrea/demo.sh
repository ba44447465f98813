#!/usr/bin/env bash
# The demo: a small real shop leaves its "SaaS" for a blank VPS, live, while a synthetic customer shops all along.
#
#   demo.sh            the migration, to its end
#   demo.sh rollback   the same with a fault planted in the smoke phase: the old system serves again
#
# Needs root: the nodes are real systemd machines in namespaces of this one. KEEP=1 leaves the nodes up afterwards. BASCULE
# names the program (default: dist/bascule beside this checkout). DEMO_SCALE=70 puts pgbench's tables of that scale (about
# 1 GB) into the old database too, and pgbench writes 200 transactions a second to them until the fence refuses it.
set -euo pipefail
cd "$(dirname "$0")"
mode=${1:-migrate}
bascule=${BASCULE:-$(cd ../.. && pwd)/dist/bascule}
work=${DEMO_DIR:-$(mktemp -d /tmp/bascule-demo.XXXXXX)}
store=$work/girlycrea.db
customer_pid=
fault_pid=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
b() { "$bascule" "$@" --store "$store"; }
lab() { "$bascule" lab "$@"; }

clean_up() {
    status=$?
    trap - EXIT INT TERM
    for pid in $customer_pid $fault_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    if [ -n "${KEEP:-}" ]; then
        echo "The nodes stay up: $bascule lab list; remove them with: $bascule lab down (in $(pwd))"
    else
        lab down >/dev/null || true
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say "1. The old world: PostgreSQL 17, Redis 8, Nginx, DNS and the shop, on a Debian 13 node called saas"
lab down >/dev/null
lab up saas --packages saas/packages.txt --store "$store"
saas=$(lab list --json | sed -n 's/.*"address":"\([0-9.]*\)".*"name":"saas".*/\1/p')
tar -C .. -cf - --exclude=report.md --exclude=report.json girlycrea | lab exec saas -- tar -C /opt -xf -
lab exec saas -- env SAAS_ADDRESS="$saas" SAAS_TTL=20 /opt/girlycrea/saas/setup.sh

if [ -n "${DEMO_SCALE:-}" ]; then
    say "   pgbench's tables of scale $DEMO_SCALE, and 200 transactions a second"
    lab exec saas -- sh -euc '
        cd /
        bench() { runuser -u postgres -- env PGOPTIONS="-c role=shop" /usr/lib/postgresql/17/bin/pgbench "$@"; }
        bench -i -q -s "$1" shop 2>/dev/null
        . /etc/shop/shop.env
        systemd-run -q --unit=load -E PGAPPNAME=pgbench /usr/lib/postgresql/17/bin/pgbench -n -R 200 -c 4 -T 36000 "$DATABASE_URL"
    ' sh "$DEMO_SCALE"
fi

say "2. Its secrets go into Bascule's store, encrypted"
for name in SOURCE_DATABASE_URL SOURCE_REDIS_URL SOURCE_UPLOADS_KEY TSIG SESSION_SECRET; do
    lab exec saas -- cat "/root/saas-secrets/$name" | b secret set "$name"
done

say "3. A synthetic customer begins to shop at https://shop.example, through a resolver that honours TTLs"
"$bascule" journey watch --url https://shop.example --name-server "$saas" --insecure \
    --lane journeys/customer.yaml@1 --lane journeys/pulse.yaml@0.15 --record "$work/customer.jsonl" &
customer_pid=$!

say "4. The plan, before anything is touched"
b plan --short || [ $? -eq 2 ]

if [ "$mode" = rollback ]; then
    say "   A fault is planted: as soon as the cutover copies what changed, the new shop dies again and again"
    (
        until lab exec vps1 -- grep -q '"started":{"_0":"migration/sync' /var/lib/bascule/journal/current 2>/dev/null; do sleep 0.2; done
        while :; do lab exec vps1 -- systemctl stop 'bascule-shop@*' 2>/dev/null || true; done
    ) &
    fault_pid=$!
fi

say "5. The migration"
set +e
b apply --yes
outcome=$?
set -e
if [ -n "$fault_pid" ]; then
    kill "$fault_pid" 2>/dev/null || true
    wait "$fault_pid" 2>/dev/null || true
    fault_pid=
fi
sleep 5

say "6. Who serves now"
b now

expected=0
[ "$mode" != rollback ] || expected=4
if [ "$outcome" != "$expected" ]; then
    echo "bascule apply ended with $outcome, not $expected" >&2
    exit 1
fi

say "7. A customer's whole path, through the DNS name"
"$bascule" journey run journeys/shop.yaml --url https://shop.example --name-server "$saas" --insecure

kill "$customer_pid"
wait "$customer_pid" || true
customer_pid=

if [ "$mode" = migrate ]; then
    say "8. A second apply changes nothing"
    b apply --yes
fi

say "Report"
# Orders that the customer was told are placed, as the database of the side that serves now holds them.
if [ "$mode" = migrate ]; then serving=vps1; else serving=saas; fi
orders=$(lab exec "$serving" -- runuser -u postgres -- psql -AtX -d shop -c "SELECT count(*) FROM orders WHERE reference LIKE 'customer-%'" | tr -d '\r')
b report --customer "$work/customer.jsonl" --old saas-3001,saas-3002 --new vps1-3000,vps1-3001,vps1-3002,vps1-3003 --orders "$orders" --out .
told=$(sed -n 's/.*"told" : \([0-9]*\).*/\1/p' report.json)
if [ "$told" != "$orders" ]; then
    echo "the customer was told that $told orders are placed, and $orders are there" >&2
    exit 1
fi
echo "written: $(pwd)/report.md, $(pwd)/report.json"
