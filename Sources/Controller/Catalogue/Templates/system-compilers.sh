#!/bin/sh
# Managed by Bascule: who may run compilers and the assembler, which come along with other packages: "root", or "all" where
# an app is built on this node. With "check" it only says, by its status, whether that is so.
set -eu
case ${1:-} in
root) mode=750 ;;
all) mode=755 ;;
*) exit 64 ;;
esac
for name in as c++ cc clang g++ gcc tcc; do
    file=$(readlink -e "/usr/bin/$name") || continue
    [ "$(stat -c %a "$file")" != "$mode" ] || continue
    [ "${2:-}" != check ] || exit 1
    # dpkg keeps it so over upgrades.
    dpkg-statoverride --remove "$file" >/dev/null 2>&1 || true
    if [ "$mode" = 750 ]; then dpkg-statoverride --update --add root root 0750 "$file"; else chmod 0755 "$file"; fi
done
