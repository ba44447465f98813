#!/bin/sh
# Managed by Bascule: upgrades that unattended ones do not do.
#   note        apt calls it when it has fetched its lists: which packages that only an apply upgrades have a new version
#   none        succeeds where there are none
#   kept        upgrades them: an apply calls it
#   begun       succeeds where this node's upgrades have begun
#   begin       has the day's upgrades done in a minute, when the apply that begins them is over: a new node has all
#               holes of its image
set -eu
noted=/var/lib/misc/bascule-upgrades
begun=/var/lib/misc/bascule-upgrades-begun
note() {
    # The names that the files 52bascule-* keep from unattended upgrades, as one expression.
    kept=$(apt-config dump --format '%v%n' Unattended-Upgrade::Package-Blacklist | grep . | paste -sd '|') || kept=
    [ -n "$kept" ] || kept='^$'
    apt-get -s -q -o Debug::NoLocking=true upgrade | sed -n '{{^all}}/-[Ss]ecurity/{{/all}}s/^Inst \([^ ]*\) .*/\1/p' |
        grep -E "$kept" >"$noted.new" || true
    mv "$noted.new" "$noted"
}
case ${1:-} in
note) note ;;
none) [ ! -s "$noted" ] ;;
kept)
    # shellcheck disable=SC2046
    DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold install --only-upgrade -- $(cat "$noted")
    note
    ;;
begun) [ -e "$begun" ] ;;
begin)
    systemd-run --quiet --collect --on-active=60 systemctl start apt-daily.service apt-daily-upgrade.service
    : >"$begun"
    ;;
*) exit 64 ;;
esac
