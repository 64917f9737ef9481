#!/usr/bin/env bash
# Everything about CUDA on one machine with a GPU, without network, in 400 seconds on 16 cores: build, registers and
# spills, what the libraries link to, the tests on CUDA with compute-sanitizer beside them, the benchmarks of the kernels,
# of the op and of its host path, a training step with and without graphs, one adaptation with its errors and the time of
# its steps, and a step of the arm wide in every way. A table at the end.
#
# Usage: bash benchmarks/gpu_check.sh [FOLDER]    results go to FOLDER (default: $OUT or gpu-results)
#
# Needs torch with CUDA, nvcc, cmake, ninja, pybind11, scikit-build-core, pytest and hypothesis; pytest-xdist runs
# tests side by side. A step that fails is reported and the others still run; the exit status is 1 if any failed. All
# of it ends within $LIMIT seconds (default: 400): when time is short, steps are cut and the last ones left out, which
# counts as failed. $ADAPT holds other options for the adaptation.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=$(realpath -m "${1:-${OUT:-gpu-results}}")
mkdir -p "$results"
export work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
total=${LIMIT:-400}
steps=$work/steps.tsv # NAME, OUTCOME, SECONDS

run() { # NAME SECONDS COMMAND...: run with a time limit, keep the output, note outcome and time
    local name=$1 limit=$2 begin=$SECONDS outcome=passed left=$((total - 10 - SECONDS))
    shift 2
    limit=$((limit < left ? limit : left))
    if [ "$limit" -lt 5 ]; then
        printf '%s\tno time left\t0\n' "$name" >>"$steps"
        return
    fi
    timeout --kill-after=5 "$limit" "$@" >"$work/$name.log" 2>&1 || outcome="failed ($?)"
    printf '%s\t%s\t%d\n' "$name" "$outcome" $((SECONDS - begin)) >>"$steps"
    printf '\n==> %s: %s after %d s\n' "$name" "$outcome" $((SECONDS - begin))
    tail -n 25 "$work/$name.log"
}

links() { # what the libraries link to, and how: a toolchain may link its standard library in
    grep -E -- '-shared .*(libposeda|_host)' "$work/build.log"
    for library in "$work"/site/poseda/*.so; do
        printf '%s\n' "$library" && ldd "$library" && nm -D --defined-only "$library"
    done
    ! nm -DC --defined-only "$work"/site/poseda/*.so | grep 'std::'
}

# Only this GPU's architecture, into a folder of its own: quick, and nothing stays behind.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr ' /' '__')
export CUDAARCHS="$capability-real" PYTHONPATH="$work/site" PYTHONUNBUFFERED=1 POSEDA_REQUIRE_CUDA=1 OMP_NUM_THREADS=2
run build 150 python3 -m pip install --verbose --no-build-isolation --no-deps --target "$work/site" \
    --config-settings=cmake.define.POSEDA_CUDA=ON --config-settings=build-dir="$work/build" \
    --config-settings=build.verbose=true .
run registers 20 python3 -P benchmarks/op/ptxas_report.py "$work/build.log" --json "$results/ptxas_sm_$capability.json"
export -f links
run links 10 bash -c links
cp "$work/links.log" "$results/links.txt"

# The files with tests that run on a device, side by side where pytest-xdist is there, and the sanitizers beside them.
files=$(grep -rlE --include='test_*.py' 'needs_cuda|\bdevice: torch\.device' tests | grep -v /test_cuda_)
several=()
python3 -c 'import xdist' 2>/dev/null && several=(-n 12 --dist worksteal)
# shellcheck disable=SC2086
run tests 170 python3 -P -m pytest -q --maxfail=10 -p no:cacheprovider -p no:benchmark "${several[@]}" -k cuda $files &
for tool in memcheck racecheck initcheck synccheck; do
    run "$tool" 170 compute-sanitizer --tool "$tool" --error-exitcode 1 python3 -m benchmarks.op.exercise_kernels &
done
wait

# A step's record counts only if the step passes, or was cut when its time was over: programs that write as they measure
# have kept what they measured. An older one must not stand for it.
record() { # NAME SECONDS FILE COMMAND...: run a step that writes a record
    local name=$1 limit=$2 file=$3
    shift 3
    rm -f "$results/$file"
    run "$name" "$limit" "$@" --json "$work/$file"
    case "$(tail -n 1 "$steps" | cut -f 2)" in
        passed) cp "$work/$file" "$results/$file" ;;
        'failed (124)') [ ! -s "$work/$file" ] || cp "$work/$file" "$results/$file" ;;
    esac
}
record kernels 90 "${gpu}_kernels.json" python3 -m benchmarks.op.kernels --quick
record op 120 "$gpu.json" python3 -P -m poseda.bench --device cuda --threads 1 --quick --batches 1024 131072 1048576
record host 20 "${gpu}_host_path.json" python3 -m benchmarks.op.host_path --device cuda --quick
record training 60 "${gpu}_training_step.json" python3 -m benchmarks.step --device cuda --quick \
    --lifters simple_baseline --width 1024 --extras graphs
# shellcheck disable=SC2086
run adapt 120 python3 -P -m poseda adapt --device cuda \
    ${ADAPT:---preset default --arms source_only gpa_lpa gpa_lpa_view wide wide_target} --out "$work/adapted"
record wide 100 "${gpu}_wide_step.json" python3 -m benchmarks.step.wide --device cuda --quick --presets default

printf '\n==> done after %d s\n\n' "$SECONDS"
python3 -P benchmarks/gpu_table.py "$steps" "$results/$gpu" "$work/adapted" >"$work/table.md" ||
    printf 'table\tfailed\t0\n' >>"$steps"
tee "$results/${gpu}_table.md" <"$work/table.md"
! grep -qvP '\tpassed\t' "$steps"
