#!/usr/bin/env bash
# Build the fuzzers in C++, kernels_fuzz and guards_fuzz, under AddressSanitizer and UndefinedBehaviorSanitizer:
#     tests/fuzz/build.sh COMPILER OPTIMISATION FOLDER
# With clang they are libFuzzer's, with other compilers a driver of our own makes the inputs.
set -euo pipefail
compiler=$1 optimisation=$2 folder=$3
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sanitizers=-fsanitize=address,undefined
if "$compiler" --version | grep -q clang; then
    # No tracing of comparisons: in numeric code they guide nowhere and take half of the time.
    objects_with="$sanitizers,fuzzer-no-link -fno-sanitize-coverage=trace-cmp" programs_with=$sanitizers,fuzzer
else
    objects_with=$sanitizers programs_with="$sanitizers -DPOSEDA_FUZZ_MAIN"
fi
# Without `always_inline`: a sanitizer's checks in functions so large take compilers minutes.
options=(-std=c++17 -g1 "$optimisation" -Icsrc -Dalways_inline=unused -fno-sanitize-recover=all
    -fno-math-errno -fno-trapping-math -ffp-contract=off)

object() {
    # shellcheck disable=SC2086
    "$compiler" "${options[@]}" $objects_with "${@:3}" -c "csrc/$1.cpp" -o "$folder/$2.o"
}
program() {
    # shellcheck disable=SC2086
    "$compiler" "${options[@]}" $programs_with "tests/fuzz/$1.cpp" "${kernels[@]}" "${@:2}" -o "$folder/$1"
}

kernels=("$folder/generic.o")
object cpu/kernels generic -DPOSEDA_ISA=generic -DPOSEDA_VECTOR_BYTES=16
case $(uname -m) in
x86_64 | amd64)
    object cpu/kernels avx2 -DPOSEDA_ISA=avx2 -DPOSEDA_VECTOR_BYTES=32 -mavx2 -mfma
    kernels+=("$folder/avx2.o")
    ;;
esac
program kernels_fuzz

found=$(python csrc/build_backend/find_torch.py)
torch=${found%%;*}
headers=(-isystem "$torch/include")
stable=("${headers[@]}" -DTORCH_TARGET_VERSION=0x020b000000000000 -fvisibility=hidden)
object library library "${stable[@]}"
object cpu/ops ops "${stable[@]}"
object cpu/dispatch dispatch
# This program alone reads torch's whole C++ interface, which needs C++20 from torch 2.14 on; the last -std counts.
program guards_fuzz -std=c++20 "$folder"/{library,ops,dispatch}.o "${headers[@]}" \
    -L"$torch/lib" -Wl,-rpath,"$torch/lib" -ltorch_cpu -lc10
