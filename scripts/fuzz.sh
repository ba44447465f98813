#!/bin/sh
# fuzz.sh SECONDS [TARGET...]: builds the fuzzing program and runs each target that long. What is found stays in
# .build-fuzz/found/TARGET; the words at the end say how to see it again and how to keep it.
set -eu
seconds=$1; shift
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
BASCULE_FUZZING=1 swift build --scratch-path .build-fuzz --sanitize fuzzer --sanitize address --product bascule-fuzz
program=.build-fuzz/debug/bascule-fuzz
[ $# -gt 0 ] || set -- $(ls Tests/Fuzz/Corpus)
broken=
for target in "$@"; do
    [ -d "Tests/Fuzz/Corpus/$target" ] || { echo "there is no target $target: $(ls Tests/Fuzz/Corpus | xargs)" >&2; exit 2; }
    # What earlier runs learnt is kept beside, not in the repository.
    mkdir -p ".build-fuzz/found/$target" ".build-fuzz/corpus/$target"
    dictionary=
    [ ! -f "Tests/Fuzz/Dictionaries/$target" ] || dictionary="-dict=Tests/Fuzz/Dictionaries/$target"
    echo "$target: $seconds s"
    log=".build-fuzz/$target.log"
    # Swift's runtime keeps what it allocates once: leaks are not what is looked for here.
    if BASCULE_FUZZ=$target SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 nice -n 19 "$program" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 -reload=0 \
        -artifact_prefix=".build-fuzz/found/$target/" $dictionary \
        ".build-fuzz/corpus/$target" "Tests/Fuzz/Corpus/$target" > "$log" 2>&1; then
        grep -aE 'number_of_executed_units|peak_rss_mb|slowest_unit' "$log" | sed 's/^stat::/    /'
    else
        broken="$broken $target"
        tail -n 40 "$log"
        file=$(grep -aoE 'written to .*' "$log" | tail -n 1 | sed 's/written to //')
        echo "$target FAILED. Again: BASCULE_FUZZ=$target $program ${file:-$log}" >&2
        echo "Mend it, then keep the input: cp ${file:-FILE} Tests/Fuzz/Corpus/$target/" >&2
    fi
done
[ -z "$broken" ] || { echo "failed:$broken" >&2; exit 1; }
