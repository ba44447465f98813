#!/bin/bash
# Measures what the README promises; prints a table, writes dist/bench.json. Options: bench/bench.py --help
set -euo pipefail
exec python3 "$(dirname "$0")/../bench/bench.py" "$@"
