#!/usr/bin/env bash
# Everything about CUDA on one machine with a GPU, without network, in about ten minutes: build, registers and
# spills, the tests on CUDA, compute-sanitizer, benchmarks of the op and of training.
#
# Usage: bash benchmarks/gpu_check.sh [FOLDER]    results go to FOLDER (default: $OUT or benchmarks/results)
#
# Needs torch with CUDA, nvcc, cmake, ninja, pybind11, scikit-build-core, pytest and hypothesis. A step that
# fails is reported and the others still run; the exit status is 1 if any failed. All of it ends within $LIMIT
# seconds (default: 585): when time is short, steps are cut and the last ones left out, which counts as failed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=$(realpath -m "${1:-${OUT:-benchmarks/results}}")
mkdir -p "$results"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
total=${LIMIT:-585}

step() { # NAME SECONDS COMMAND...: run with a time limit, note failure, keep the output
    local name=$1 limit=$2 left=$((total - 10 - SECONDS))
    shift 2
    limit=$((limit < left ? limit : left))
    if [ "$limit" -lt 5 ]; then
        failed+=("$name (no time left)")
        return
    fi
    printf '\n==> %s (after %d s)\n' "$name" "$SECONDS"
    if ! timeout --kill-after=10 "$limit" "$@" 2>&1 | tee "$work/$name.log" | tail -n 25; then
        failed+=("$name")
        printf '*** %s failed\n' "$name"
    fi
}

# Only this GPU's architecture, into a folder of its own: quick, and nothing stays behind.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr ' /' '__')
export CUDAARCHS="$capability-real" PYTHONPATH="$work/site" PYTHONUNBUFFERED=1 POSEDA_REQUIRE_CUDA=1
step build 150 pip install --verbose --no-build-isolation --no-deps --target "$work/site" \
    --config-settings=cmake.define.POSEDA_CUDA=ON --config-settings=build-dir="$work/build" .
step registers 20 python3 -P benchmarks/op/ptxas_report.py "$work/build.log" --json "$results/ptxas_sm_$capability.json"

# The files with tests that run on a device.
files=$(grep -rlE --include='test_*.py' 'needs_cuda|\bdevice: torch\.device' tests | grep -v /test_cuda_)
# shellcheck disable=SC2086
step tests 200 python3 -P -m pytest -q --maxfail=10 -p no:cacheprovider -k cuda $files

if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        step "$tool" 75 compute-sanitizer --tool "$tool" --error-exitcode 1 python3 -m benchmarks.op.exercise_kernels
    done
else
    printf '\n==> no compute-sanitizer on this machine\n'
    failed+=(compute-sanitizer)
fi

step benchmark 270 python3 -P -m poseda.bench --device cuda --threads 1 --quick \
    --batches 1 1024 1048576 16777216 --json "$results/$gpu.json"

step training 100 python3 -m benchmarks.step --device cuda --quick --lifters simple_baseline \
    --width 1024 --extras compiled bf16 graphs --json "$results/${gpu}_training_step.json"

step lifters 100 python3 -m benchmarks.step.lifters --device cuda --published --frames 1 --modes eager \
    --json "$results/${gpu}_lifters.json"

printf '\n==> done after %d s; failed: %s\n' "$SECONDS" "${failed[*]:-nothing}"
[ ${#failed[@]} -eq 0 ]
