#!/bin/sh
# Managed by Bascule: the swap file, on with a size in MiB, or off.
set -eu
file=/swapfile
case ${1:-} in
on)
    want=$((${2:?a size in MiB} * 1048576))
    if [ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -ne "$want" ]; then
        rm -f "$file"
        # Real blocks: a file with holes is refused as swap. dd where the file system cannot allocate.
        fallocate -l "$want" "$file" 2>/dev/null || dd if=/dev/zero of="$file" bs=1M count="$2" status=none
        chmod 600 "$file"
        mkswap "$file" >/dev/null
    fi
    swapon "$file"
    ;;
off) swapoff "$file" ;;
*) exit 64 ;;
esac
