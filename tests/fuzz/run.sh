#!/usr/bin/env bash
# Every fuzzer, one after the other:
#     tests/fuzz/run.sh [--seconds N] [--cases N] [--seed S]
# Seconds for each (default: 300), cases for each of the two in C++ instead, seed (default: random). Stops at
# the first bug. Readers' findings are kept in fuzz-findings/, libFuzzer's beside them.
set -euo pipefail
seconds=300 cases='' seed=$RANDOM
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2 ;;
    --cases) cases=$2 ;;
    --seed) seed=$2 ;;
    *) printf 'run.sh: expected --seconds N, --cases N or --seed S, got %s\n' "$1" >&2 && exit 2 ;;
    esac
    shift 2
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p fuzz-findings
export OMP_NUM_THREADS=1

for compiler in clang++ clang++-{25..14} g++; do
    command -v "$compiler" >/dev/null && break
done
printf '==> build, with %s\n' "$compiler"
bash "$here/build.sh" "$compiler" -O2 "$work"

# Run a fuzzer, show what it says and note how many cases it counts.
totals=()
fuzz() {
    local name=$1 began=$SECONDS
    printf '==> %s, seed %s\n' "$name" "$seed"
    "${@:2}" 2>&1 | grep --line-buffered -vE 'REDUCE|NEW|pulse|RELOAD|# Uses|failed to allocate' |
        tee "$work/said"
    totals+=("$name: $(awk '/^stat::number_of_executed_units/ { n += $2 } /^[0-9]+ [a-z]/ { n += $1 }
        END { print n }' "$work/said") cases in $((SECONDS - began)) seconds")
}
compiled() {
    if "$compiler" --version | grep -q clang; then
        local limit=-max_total_time=$seconds
        [ -n "$cases" ] && limit=-runs=$cases
        mkdir "$work/$1.corpus"
        "$work/$1" "$limit" -max_len=256 -entropic=0 -timeout=60 -seed="$seed" -print_funcs=0 \
            -print_final_stats=1 -artifact_prefix=fuzz-findings/ "$work/$1.corpus"
    elif [ -n "$cases" ]; then
        "$work/$1" "$seed" "$cases"
    else
        local end=$((SECONDS + seconds)) next=$seed
        while [ $SECONDS -lt $end ]; do
            "$work/$1" "$next" 20000
            next=$((next + 1))
        done
    fi
}

fuzz kernels compiled kernels_fuzz
fuzz guards compiled guards_fuzz
fuzz ops python "$here/ops_fuzz.py" --seconds "$seconds" --seed "$seed"
fuzz readers python "$here/readers_fuzz.py" --seconds "$seconds" --seed "$seed"
printf '==> no bug\n'
printf '%s\n' "${totals[@]}"
