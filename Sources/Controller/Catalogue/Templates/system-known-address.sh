#!/bin/sh
# Managed by Bascule: succeeds where a key was accepted from this address within the last week. fail2ban asks it before
# it bans. An attacker cannot make it succeed: it takes a key that this node accepts.
set -eu
address=${1:?an address}
journalctl --quiet --no-pager --output=cat --since=-7days --identifier=sshd --identifier=sshd-session \
    --grep="^Accepted publickey for [^ ]+ from $(printf '%s' "$address" | sed 's/[.]/\\./g') port " --lines=1 \
    | grep -q .
