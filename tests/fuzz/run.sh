#!/usr/bin/env bash
# Every fuzzer, one after the other:
#     tests/fuzz/run.sh [--seconds N] [--seed S]      seconds for each (default: 300), seed (default: random)
# Stops at the first bug. Readers' findings are kept in fuzz-findings/, libFuzzer's beside them.
set -euo pipefail
seconds=300 seed=$RANDOM
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2 ;;
    --seed) seed=$2 ;;
    *) printf 'run.sh: expected --seconds N or --seed S, got %s\n' "$1" >&2 && exit 2 ;;
    esac
    shift 2
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p fuzz-findings

for compiler in clang++ clang++-{25..14} g++; do
    command -v "$compiler" >/dev/null && break
done
printf '==> kernels, with %s, seed %s\n' "$compiler" "$seed"
bash "$here/build.sh" "$compiler" -O2 "$work/kernels_fuzz"
if "$compiler" --version | grep -q clang; then
    mkdir "$work/corpus"
    "$work/kernels_fuzz" -max_total_time="$seconds" -max_len=256 -entropic=0 -seed="$seed" -print_final_stats=1 \
        -artifact_prefix=fuzz-findings/ "$work/corpus" 2>&1 | grep -vE 'REDUCE|NEW|pulse|RELOAD|# Uses'
else
    end=$((SECONDS + seconds))
    while [ $SECONDS -lt $end ]; do
        "$work/kernels_fuzz" "$seed" 20000
        seed=$((seed + 1))
    done
fi
printf '==> ops\n'
OMP_NUM_THREADS=1 python "$here/ops_fuzz.py" --seconds "$seconds" --seed "$seed"
printf '==> readers\n'
OMP_NUM_THREADS=1 python "$here/readers_fuzz.py" --seconds "$seconds" --seed "$seed"
