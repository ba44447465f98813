#!/bin/sh
# sanitize.sh REGEX: builds the tests under the thread and under the address sanitizer and runs the suites of those test
# targets that the expression matches. Fails after all of them where anything was found.
set -eu
cd "$(dirname "$0")/.."
suites=$1
export SWIFT_BACKTRACE=enable=no
failed=
for kind in ${SANITIZERS:-thread address}; do
    export BASCULE_SANITIZE=$kind
    swift build --scratch-path ".build-$kind" --sanitize "$kind" --build-tests
    # Reports of libraries that are not ours stand in scripts/sanitize-$kind.txt, each with its reason.
    list="$PWD/scripts/sanitize-$kind.txt"
    TSAN_OPTIONS="halt_on_error=0:suppressions=$list" \
    ASAN_OPTIONS="detect_leaks=0:suppressions=$list" \
        swift test --scratch-path ".build-$kind" --sanitize "$kind" --skip-build --disable-xctest --no-parallel \
        --filter "^Bascule($suites)Tests|^FuzzCorpusTests" || failed="$failed $kind"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
