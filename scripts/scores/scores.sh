#!/bin/bash
# What independent scorers say of a node that Bascule made. As root.
#
#   scripts/scores/scores.sh [debian12|debian13]...      both without an argument
#
# Brings up one throwaway node with Examples/stack and services.system, and runs lynis (on the node), ssh-audit and nmap
# (from here), systemd-analyze security of every unit of ours, and web.sh beside this (testssl.sh, sslyze, gixy).
# Prints a table, and fails where a threshold is missed. What is missing here is installed: Debian's packages, and sslyze and
# gixy-ng from PyPI into a folder of their own (SCORES_TOOLS).
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts=$PWD/scripts/scores
program=${BASCULE:-$PWD/dist/bascule}
tools=${SCORES_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/bascule/scores}
[ -x "$program" ] || { echo "nothing is built yet: make build" >&2; exit 1; }
missing=
for pair in ssh-audit:ssh-audit nmap:nmap testssl:testssl.sh; do
    command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
# shellcheck disable=SC2086
[ -z "$missing" ] || apt-get install -y -q --no-install-recommends $missing >/dev/null
if ! command -v sslyze >/dev/null || ! command -v gixy >/dev/null; then
    if [ ! -x "$tools/bin/sslyze" ] || [ ! -x "$tools/bin/gixy" ]; then
        python3 -m venv "$tools"
        "$tools/bin/pip" install -q sslyze gixy-ng
    fi
    PATH=$PATH:$tools/bin
fi

work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
missed=0
cleanup() { (cd "$work" && "$program" lab down >/dev/null 2>&1) || true; rm -rf "$work"; }
trap cleanup EXIT

line() { printf '%-9s %-52s %-14s %-14s %s\n' "$@"; }
# score IMAGE WHAT VALUE THRESHOLD OK?
score() {
    line "$1" "$2" "$3" "$4" "$([ "$5" = 1 ] && echo ok || echo MISSED)"
    [ "$5" = 1 ] || missed=1
}
# The exposure of a unit, 0 (best) to 10.
exposure() { node "systemd-analyze security --no-pager '$1' 2>/dev/null" | sed -n 's/.*: \([0-9.]*\) .*/\1/p' | tail -1; }

for image in "${@:-debian12 debian13}"; do for image in $image; do
    cp -r Examples/stack/. "$work/"
    sed -i -e "s/^fleet: .*/fleet: scores-$image/" -e "s/image: debian12/image: $image/" "$work/fleet.yaml"
    grep -q '^  system:' "$work/fleet.yaml" || sed -i 's/^services:$/services:\n  system: {}/' "$work/fleet.yaml"
    cd "$work"
    "$program" apply --yes >"$work/apply.log" 2>&1 || { tail -20 "$work/apply.log" >&2; exit 1; }
    node() { "$program" lab exec vps1 -- sh -c "$1"; }
    line node scorer value threshold ""
    # The upgrades that the apply began, to their end; lynis asks for the first check of integrity.
    node 'systemctl start apt-daily.service apt-daily-upgrade.service bascule-integrity.service || true
          apt-get install -y -q --no-install-recommends lynis >/dev/null 2>&1
          lynis audit system --quick --no-colors --quiet >/dev/null 2>&1 || true'
    index=$(node 'sed -n "s/^hardening_index=//p" /var/log/lynis-report.dat')
    score "$image" "lynis hardening index" "$index" ">= 85" "$((index >= 85))"
    vulnerable=$(node 'grep -cF "vulnerable_package[]" /var/log/lynis-report.dat || true')
    score "$image" "lynis: packages with known holes" "$vulnerable" 0 "$((vulnerable == 0))"

    address=$(node 'ip -4 -o address show host0' | grep -oE 'inet [0-9.]+' | cut -d' ' -f2)
    ssh-audit -n "$address" >"$work/ssh-audit" || true
    failures=$(grep -c '\[fail\]' "$work/ssh-audit" || true)
    score "$image" "ssh-audit failures" "$failures" 0 "$((failures == 0))"
    # What libssh2 1.10 forces, and names that ssh-audit 2.5 is too old to judge: docs/scores.md has why.
    warnings=$(grep '\[warn\]' "$work/ssh-audit" | grep -cvE 'hmac-sha2-512 |kex-strict-|sntrup761x25519|mlkem768x25519|curve25519' || true)
    score "$image" "ssh-audit warnings beyond what is forced" "$warnings" 0 "$((warnings == 0))"

    declared=$(node 'sed -n "s/.*dport \([0-9]*\) accept.*/\1/p; s/.*dport { \([0-9, ]*\) } accept.*/\1/p" /etc/nftables.d/bascule.nft' |
        tr ',' '\n' | tr -d ' ' | sort -nu | xargs)
    # The node's certificate is one of its own: it is its own root.
    node 'nginx -T 2>/dev/null' >"$work/nginx.txt"
    node "cat $(sed -n 's/^ *ssl_certificate \([^;]*\);.*/\1/p' "$work/nginx.txt" | head -1)" >"$work/root.pem"
    "$scripts/web.sh" "$address" shop.example "$work/root.pem" "$work/nginx.txt" "$declared" >"$work/web" || missed=1
    while IFS= read -r said; do line "$image" "$said" "" "" ""; done <"$work/web"

    for unit in $(node 'grep -lE "Managed by Bascule" /etc/systemd/system/*.service /etc/systemd/system/*.service.d/*.conf |
        sed "s#.*/\([^/]*\.service\)\(\.d/.*\)\?\$#\1#" | sort -u') bascule-firewall.service bascule-agent.service; do
        value=$(exposure "${unit/@./@3000.}")
        [ -n "$value" ] || continue
        case $unit in
        # These install packages: docs/security.md says what can be taken from them.
        bascule-agent.service | apt-daily-upgrade.service)
            line "$image" "systemd-analyze security $unit" "$value" "not judged" "" ;;
        *) score "$image" "systemd-analyze security $unit" "$value" "<= 3.0" "$(awk -v v="$value" 'BEGIN { print (v <= 3.0) }')" ;;
        esac
    done
    "$program" lab down >/dev/null
    cd "$OLDPWD"
done; done
exit $missed
