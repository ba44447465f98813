#!/bin/bash
# Fails when the stripped agent is over its budget: it is uploaded to every node, over whatever line the administrator has.
set -euo pipefail
limit=$((18 * 1024 * 1024))
size=$(stat -c %s "$1")
mib() { awk -v n="$1" 'BEGIN { printf "%.1f MiB", n / 1048576 }'; }
if [ "$size" -gt "$limit" ]; then
    echo "$1 is $(mib "$size"), over the budget of $(mib "$limit"): did something import Foundation?" >&2
    exit 1
fi
echo "$1: $(mib "$size")"
