#!/bin/sh
# Managed by Bascule: what changed on this node that no apply and no upgrade explains. Its output is the journal's.
# Fails where a file of a package is not as its package brought it: then somebody has been here, or the disk is going.
set -u
new=/var/lib/aide/aide.db.new
known=/var/lib/aide/aide.db
if [ -e "$known" ]; then
    echo 'since the last check, in /etc, /boot, /usr/local, /root and the accounts'"'"' keys:'
    aide --config=/etc/aide/aide.conf --update
else
    aide --config=/etc/aide/aide.conf --init >/dev/null && echo 'first check: the present state is the reference'
fi
# 0 to 7 say what changed; 14 and above that it did not work.
status=$?
[ ! -e "$new" ] || mv -f "$new" "$known"
[ "$status" -lt 14 ] || exit "$status"
exec debsums --silent --changed
