#!/usr/bin/env bash
# Build the fuzzer of the CPU kernels, under AddressSanitizer and UndefinedBehaviorSanitizer:
#     tests/fuzz/build.sh COMPILER OPTIMISATION PROGRAM
# With clang it is libFuzzer's, with other compilers a driver of our own makes the inputs.
set -euo pipefail
compiler=$1 optimisation=$2 program=$3
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sanitizers=-fsanitize=address,undefined
if "$compiler" --version | grep -q clang; then
    # No tracing of comparisons: in numeric code they guide nowhere and take half of the time.
    objects_with="$sanitizers,fuzzer-no-link -fno-sanitize-coverage=trace-cmp" program_with=$sanitizers,fuzzer
else
    objects_with=$sanitizers program_with="$sanitizers -DPOSEDA_FUZZ_MAIN"
fi
# Without `always_inline`: a sanitizer's checks in functions so large take compilers minutes.
options=(-std=c++17 -g1 "$optimisation" -Icsrc -Dalways_inline=unused -fno-sanitize-recover=all
    -fno-math-errno -fno-trapping-math -ffp-contract=off)

kernels() {
    # shellcheck disable=SC2086
    "$compiler" "${options[@]}" $objects_with -DPOSEDA_ISA="$1" -DPOSEDA_VECTOR_BYTES="$2" "${@:3}" \
        -c csrc/cpu/kernels.cpp -o "$program.$1.o"
    objects+=("$program.$1.o")
}
objects=()
kernels generic 16
case $(uname -m) in x86_64 | amd64) kernels avx2 32 -mavx2 -mfma ;; esac
# shellcheck disable=SC2086
"$compiler" "${options[@]}" $program_with tests/fuzz/kernels_fuzz.cpp "${objects[@]}" -o "$program"
