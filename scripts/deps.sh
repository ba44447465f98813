#!/bin/bash
# Installs what is missing of the Debian packages that building, running and testing need.
#
#   scripts/deps.sh [build] [run] [test]     all three without an argument
#
# Nothing is installed, and no privilege needed, where nothing is missing. A server that comes with a package is neither
# started nor enabled: the tests start their own copies, with their own directories and ports.
set -euo pipefail

# Beside the Swift toolchain: a C++ compiler for its runtime's headers, and the three libraries that are linked.
build=(ca-certificates g++ git make pkg-config libc6-dev libsodium-dev libsqlite3-dev libssh2-1-dev binutils)
# Throwaway nodes (deploy/lab), rsync and TLS as the program uses them.
run=(e2fsprogs iproute2 libpq5 libssl3 mmdebstrap mount nftables openssh-client openssl rsync systemd-container util-linux)
# Real servers for the tests.
test=(bind9 bind9-dnsutils gpg gpg-agent libmariadb3 mariadb-server openssh-server pgbouncer postgresql-15 postgresql-client-15 procps prometheus python3 redis-server)
# The units of those servers.
units=(mariadb.service named.service pgbouncer.service postgresql.service prometheus.service redis-server.service rsync.service ssh.service)

packages=()
for group in "${@:-all}"; do
    case "$group" in
        build) packages+=("${build[@]}") ;;
        run) packages+=("${run[@]}") ;;
        test) packages+=("${test[@]}") ;;
        all) packages+=("${build[@]}" "${run[@]}" "${test[@]}") ;;
        *) echo "deps: unknown group: $group (build, run, test)" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is no Debian; see to it that these are installed: ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "deps: missing: ${missing[*]}" >&2
    echo "      as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=
cleanup() {
    [ -z "$made_policy" ] || rm -f "$policy"
    rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Keeps the servers from being started; a policy that is there already is somebody's decision.
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
fi

enabled_before=" "
for unit in "${units[@]}"; do
    if systemctl is-enabled --quiet "$unit" 2>/dev/null; then enabled_before+="$unit "; fi
done

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
echo "deps: installing ${missing[*]}"
fresh=
update() {
    "${apt[@]}" update >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    fresh=yes
}
install() { "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# An index that is missing, or older than the archive, is fetched; otherwise it is left alone.
compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || update
if ! install; then
    [ -z "$fresh" ] || { cat "$log" >&2; exit 1; }
    update
    install || { cat "$log" >&2; exit 1; }
fi

if command -v systemctl >/dev/null; then
    for unit in "${units[@]}"; do
        case "$enabled_before" in *" $unit "*) continue ;; esac
        SYSTEMD_OFFLINE=1 systemctl --quiet disable "$unit" >/dev/null 2>&1 || true
    done
fi
