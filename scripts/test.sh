#!/bin/bash
# Runs the built tests and says at the end what failed, of what.
#
#   scripts/test.sh FLAGS…     the flags of `swift test`
#
# Real machines, deadlines and two busy cores: a test can fail of what runs beside it. So up to LIMIT failed tests are run once
# more, alone. One that fails again fails the run; one that passes then is named in the last lines, with what it said first:
# it is to be looked into, not forgotten.
set -uo pipefail
LIMIT=5

log=$(mktemp)
trap 'rm -f "$log" "$log.again"' EXIT

swift test --skip-build --disable-xctest "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
[ "$status" != 0 ] || exit 0

issues() { grep -aE '^✘ Test .* recorded an issue ' "$log" | cut -c1-400; }
failed=$(sed -nE 's/^✘ Test ([A-Za-z0-9_]+)\(.*\) .*failed after .*/\1/p' "$log" | sort -u)
count=$(grep -c . <<<"$failed")

echo
if ! grep -aq '^✘ Test run with ' "$log" || [ "$count" = 0 ]; then
    echo "The tests ended before their end (status $status)." >&2
    exit "$status"
fi
echo "$count failed:"
issues
if [ "$count" -gt "$LIMIT" ]; then exit "$status"; fi

echo
echo "Once more, alone: ${failed//$'\n'/, }"
pattern="[./](${failed//$'\n'/|})\\("
swift test --skip-build --disable-xctest "$@" --filter "$pattern" 2>&1 | tee "$log.again"
again=${PIPESTATUS[0]}
ran=$(sed -nE 's/^✔ Test run with ([0-9]+) tests? .*/\1/p' "$log.again")
echo
if [ "$again" != 0 ] || [ "${ran:-0}" -lt "$count" ]; then
    echo "FAILED twice, or could not be run again:"
    issues
    exit "$status"
fi
echo "$count failed at first and passed alone:"
issues
