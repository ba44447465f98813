#!/bin/sh
# Managed by Bascule: how much mail waits in each queue of Postfix, and since when.
now=$(date +%s)
messages='# TYPE bascule_mail_queue_messages gauge'
oldest='# TYPE bascule_mail_queue_oldest_seconds gauge'
for queue in incoming active deferred hold; do
    # A message may go while it is looked at. Its file was made when it came (%W; 0 where the file system does not know);
    # the time of its last change (%Y) Postfix sets to that of the next attempt.
    set -- $(find "/var/spool/postfix/$queue" -type f -exec stat -c '%W %Y' {} + 2>/dev/null | awk -v now="$now" '
        { came = $1 > 0 ? $1 : $2; if (came > now) came = now; if (NR == 1 || came < first) first = came }
        END { print NR, NR ? now - first : 0 }')
    messages="$messages
bascule_mail_queue_messages{queue=\"$queue\"} $1"
    oldest="$oldest
bascule_mail_queue_oldest_seconds{queue=\"$queue\"} $2"
done
printf '%s\n%s\n' "$messages" "$oldest"
