#!/bin/sh
# Managed by Bascule: restarts the node where an upgrade asked for it, unless something runs on it.
set -eu
[ -e /run/reboot-required ] || exit 0
status=$(/usr/local/lib/bascule/bascule-agent status 2>&1) || status=
if printf '%s\n' "$status" | grep -q '  running: '; then
    echo 'an apply or a migration runs on this node: the restart waits for the next window'
    exit 0
fi
echo "restarting: $(cat /run/reboot-required.pkgs 2>/dev/null | sort -u | tr '\n' ' ')"
exec systemctl --no-block reboot
