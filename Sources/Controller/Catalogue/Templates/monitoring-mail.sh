#!/bin/sh
# Managed by Bascule: how much mail waits in each queue of Postfix, and since when.
now=$(date +%s)
messages='# TYPE bascule_mail_queue_messages gauge'
oldest='# TYPE bascule_mail_queue_oldest_seconds gauge'
for queue in incoming active deferred hold; do
    # A message may go while it is looked at.
    set -- $(find "/var/spool/postfix/$queue" -type f -printf '%Ts\n' 2>/dev/null | sort -n | awk -v now="$now" '
        NR == 1 { first = $1 }
        END { print NR, NR ? now - first : 0 }')
    messages="$messages
bascule_mail_queue_messages{queue=\"$queue\"} $1"
    oldest="$oldest
bascule_mail_queue_oldest_seconds{queue=\"$queue\"} $2"
done
printf '%s\n%s\n' "$messages" "$oldest"
