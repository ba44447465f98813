#!/bin/sh
# Managed by Bascule: how pgbouncer.service starts and takes up changes, as the user postgres.
#   start    the first process
#   reload   RELOAD where that is enough; otherwise another process takes over, and no client notices
set -eu
config=/etc/pgbouncer/pgbouncer.ini
run=/run/pgbouncer

# A place for a process: its socket, its number, and the configuration that it was started with.
filled() { sed -e "s|^pidfile *=.*|pidfile = $run/$1/pid|" -e "s|^unix_socket_dir *=.*|unix_socket_dir = $run/$1|" "$config"; }
port_of() { sed -n 's/^listen_port *= *//p' "$1"; }
listeners_of() { grep -E '^(listen_addr|listen_port|unix_socket_mode|unix_socket_group) *=' "$1"; }
alive() { [ -s "$run/$1/pid" ] && kill -0 "$(cat "$run/$1/pid")" 2>/dev/null; }
gone() { ! alive "$1"; }
listens() { alive "$1" && [ -S "$run/$1/.s.PGSQL.$(port_of "$run/$1/pgbouncer.ini")" ]; }
await() { tries=0; until "$@"; do tries=$((tries + 1)); [ $tries -lt 300 ] || return 1; sleep 0.05; done; }

# Clients of the socket find whoever accepts now.
lead_to() {
    port=$(port_of "$run/$1/pgbouncer.ini")
    ln -sfn "$run/$1/.s.PGSQL.$port" "/run/postgresql/.s.PGSQL.$port"
    echo "$1" > "$run/current"
}

begin() {
    mkdir -p "$run/$1"
    chmod 0755 "$run/$1"
    filled "$1" > "$run/$1/pgbouncer.ini"
    /usr/sbin/pgbouncer -q -d "$run/$1/pgbouncer.ini"
    await listens "$1"
    lead_to "$1"
}

case "$1" in
start)
    rm -rf "$run/1" "$run/2"
    begin 1
    exit
    ;;
reload) ;;
*) exit 64 ;;
esac

old=$(cat "$run/current")
filled "$old" > "$run/next.ini"
if cmp -s "$run/next.ini" "$run/$old/pgbouncer.ini"; then
    kill -HUP "$(cat "$run/$old/pid")"
    exit
fi
{{#drains}}

# A new process beside the old one: they share the port (so_reuseport). The old one accepts nobody any more and ends with
# its last client; one that still drains from the time before has had its time.
new=$((3 - old))
if alive "$new"; then
    kill -QUIT "$(cat "$run/$new/pid")"
    await gone "$new"
fi
begin "$new"
kill -TERM "$(cat "$run/$old/pid")"
{{/drains}}
{{^drains}}

# PgBouncer before 1.23. The admin console lets the owner of the process in by the socket alone.
console() { timeout 10 psql -XqAt -h "$run/$old" -p "$(port_of "$run/$old/pgbouncer.ini")" -U pgbouncer -d pgbouncer -c "$1"; }
process=$(cat "$run/$old/pid")
ended() { ! kill -0 "$process" 2>/dev/null; }
cp "$run/$old/pgbouncer.ini" "$run/last.ini"
listeners_of "$run/next.ini" > "$run/next.listeners"
if listeners_of "$run/last.ini" | cmp -s - "$run/next.listeners"; then
    # The new process takes every socket over, clients' and servers', open transactions included (-R). Clients that use
    # TLS connect again. The old one is suspended meanwhile. A client in the middle of its login that waits for a server
    # connection keeps it from getting there, and would be thrown out after suspend_timeout: so the new one, which has the
    # sockets before it goes into the background and takes none over before that, gets a second or three; then the old one
    # goes on (SIGUSR2 is RESUME: no console gets in meanwhile), and after a moment there is another attempt. The last one
    # takes the time it needs.
    taken() { ended && alive "$old"; }
    for patience in 1 1 1 1 1 3 3 3 3 60; do
        cp "$run/next.ini" "$run/$old/pgbouncer.ini"
        if timeout -s KILL $patience /usr/sbin/pgbouncer -d -R "$run/$old/pgbouncer.ini" && await taken; then
            lead_to "$old"
            exit
        fi
        cp "$run/last.ini" "$run/$old/pgbouncer.ini"
        kill -USR2 "$process" || true
        sleep 0.3
    done
    exit 1
fi
# Another address or port: those sockets cannot be taken over. No transaction is cut: PAUSE waits for them, 10 s at most,
# and RESUME follows in any case; clients connect again.
console PAUSE || true
if ! begin "$((3 - old))"; then
    kill -USR2 "$process"
    exit 1
fi
kill -USR2 "$process" || true
kill -INT "$process"
{{/drains}}
