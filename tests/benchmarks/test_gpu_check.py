"""The check of a machine with a GPU, with stand-ins for its programs: what it runs, reports and ends with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_check.sh"

PYTHON = f"""#!/bin/bash
# Says what it is asked for, and writes the records that the programs write.
printf '%s\\n' "python3 $*" >>"$CALLS"
case "$*" in
    *gpu_table.py*) exec {sys.executable} "$@" ;;
    *"pip install"*)
        mkdir -p "$work/site/poseda"
        : >"$work/site/poseda/libposeda_ops.so"
        echo "c++ -shared -o libposeda_ops.so"
        ;;
    *"import xdist"*) exit "$WITHOUT_XDIST" ;;
    *"-m poseda.bench"*) cp "$RECORDS/op.json" "${{@: -1}}" ;;
    *"-m benchmarks.op.kernels"*) cp "$RECORDS/kernels.json" "${{@: -1}}" ;;
    *"-m benchmarks.op.host_path"*) cp "$RECORDS/host.json" "${{@: -1}}" ;;
    *"-m poseda adapt"*) mkdir -p "${{@: -1}}" && cp "$RECORDS/run/"* "${{@: -1}}/" ;;
    *"-m pytest"*) sleep "$PYTEST_SECONDS" ;;
    *"-m benchmarks.step.wide"*) cp "$RECORDS/wide.json" "${{@: -1}}" ;;
    *"-m benchmarks.step"*) cp "$RECORDS/step.json" "${{@: -1}}"; exit "$STEP_FAILS" ;;
esac
"""

OTHERS = {
    "nvidia-smi": 'case "$1" in *compute_cap*) echo 9.0 ;; *) echo "NVIDIA H100 80GB" ;; esac',
    "compute-sanitizer": 'printf "%s\\n" "compute-sanitizer $*" >>"$CALLS"; sleep "$PYTEST_SECONDS"',
    "ldd": 'echo "libtorch_cpu.so"',
    "nm": 'test "$1" = -DC && echo "$SYMBOL"; true',
}

RECORDS: dict[str, Any] = {
    "op": [
        {
            "direction": "forward",
            "batch": 1024,
            "seconds": {"ours": 3.5e-6},
            "speedup": {"compiled": 48.6},
            "copy_share": None,
        }
    ],
    "kernels": [
        {"variant": "coco17", "direction": "adjoint", "poses": 1, "seconds": 4e-6, "copy_share": None},
        {"variant": "coco17", "direction": "adjoint", "poses": 1 << 20, "seconds": 38e-5, "copy_share": 0.68},
    ],
    "host": [{"batch": 1024, "ratio": {"forward": 4.75}}],
    "step": [
        {
            "name": "simple_baseline",
            "batch": 1024,
            "generator": {"seconds": {"ours": 0.0103, "graphs": 0.00117}},
            "lifter": {"seconds": {"ours": 0.0056}},
        }
    ],
    "wide": [{"preset": "default", "batch": 512, "seconds": {"eager": 0.009, "graphs, compiled": 0.0008}}],
}

LOG = [
    {"step": step, "seconds": seconds, "phase": "lifter", "arm": "wide", "seed": 0}
    for step, seconds in ((50, 9.0), (100, 9.1), (150, 9.15), (200, 9.2))
]
"""The first steps of a phase take longest."""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with a GPU, whose programs are stand-ins."""
    if shutil.which("timeout") is None:
        pytest.skip("needs timeout")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in {**OTHERS, "python3": PYTHON}.items():
        path = programs / name
        path.write_text(body if body.startswith("#!") else f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    for name, rows in RECORDS.items():
        key = "rows" if name == "kernels" else "results"
        (tmp_path / f"{name}.json").write_text(json.dumps({key: rows}))
    (tmp_path / "run").mkdir()
    results = [{"arm": "gpa_lpa", "split": "target_test", "mpjpe": 57.3}]
    (tmp_path / "run" / "results.json").write_text(json.dumps(results))
    half = '{"step": 250, "sec'  # what a step that was stopped leaves
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join([*map(json.dumps, LOG), half]))
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "RECORDS": str(tmp_path),
        "OUT": str(tmp_path / "out"),
        "WITHOUT_XDIST": "0",
        "PYTEST_SECONDS": "0",
        "STEP_FAILS": "0",
        "SYMBOL": "T PyInit__host",
    }


def check(machine: dict[str, str]) -> tuple[int, str, list[str]]:
    """Exit status, output, and the calls of programs."""
    done = subprocess.run(["bash", SCRIPT], env=machine, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, Path(machine["CALLS"]).read_text().splitlines()


def test_everything_is_run_once_and_ends_with_one_table(machine: dict[str, str]) -> None:
    code, shown, calls = check(machine)
    assert code == 0, shown
    for wanted in (
        "-m pip install",
        "ptxas_report",
        "benchmarks.op.kernels",
        "poseda.bench",
        "benchmarks.step ",
        "benchmarks.step.wide",
        "host_path",
        "poseda adapt",
    ):
        assert sum(wanted in call for call in calls) == 1, wanted
    tools = {call.split()[2] for call in calls if call.startswith("compute-sanitizer")}
    assert tools == {"memcheck", "racecheck", "initcheck", "synccheck"}
    (tests,) = [call for call in calls if "-m pytest" in call]
    assert "-p no:benchmark -n 12 --dist worksteal -k cuda tests/" in tests
    table = shown[shown.index("| what | outcome | seconds |") :]
    alone = ("build", "registers", "links", "tests", "kernels", "op", "host", "training", "adapt", "wide")
    assert all(f"| {name} | passed |" in table for name in (*alone, *tools))
    assert "| forward, 1,024 poses | 3.5 us, 48.6 times as fast as compiled |" in table
    assert "| kernel: coco17, adjoint, 1,048,576 poses | 380 us, 68% of the copy |" in table
    assert "coco17, adjoint, 1 poses" not in table
    assert "| host: forward, 1,024 poses | 4.75 times its yardstick |" in table
    assert "| step of the generator, simple_baseline, 1,024 poses | ours 10.3 ms, graphs 1.17 ms |" in table
    assert "| step of wide, preset default, 512 views | eager 9 ms, graphs, compiled 0.8 ms |" in table
    assert "| wide, lifter, seed 0 | 1 ms a step |" in table
    assert "| gpa_lpa, target_test | MPJPE 57.3 mm |" in table
    (kept,) = Path(machine["OUT"]).glob("*_table.md")
    assert kept.read_text().strip() == table.strip()
    assert "libtorch_cpu.so" in (Path(machine["OUT"]) / "links.txt").read_text()


def test_a_failed_step_is_reported_and_the_others_still_run(machine: dict[str, str]) -> None:
    out = Path(machine["OUT"])
    out.mkdir()
    older = out / "NVIDIA_H100_80GB_training_step.json"
    older.write_text(json.dumps({"results": []}))
    code, shown, calls = check(machine | {"STEP_FAILS": "3", "WITHOUT_XDIST": "1"})
    assert code == 1 and "| training | failed (3) |" in shown and "| adapt | passed |" in shown
    assert not older.exists() and "step of the generator" not in shown
    assert not any(" -n 12" in call for call in calls)


def test_what_a_step_measured_before_its_time_was_over_is_kept(machine: dict[str, str]) -> None:
    code, shown, _ = check(machine | {"STEP_FAILS": "124"})
    assert code == 1 and "| training | failed (124) |" in shown and "step of the generator" in shown
    record = Path(machine["OUT"]) / "NVIDIA_H100_80GB_training_step.json"
    assert json.loads(record.read_text())["results"] == RECORDS["step"]


def test_other_options_for_the_adaptation(machine: dict[str, str]) -> None:
    _, _, calls = check(machine | {"ADAPT": "--preset full --arms wide"})
    (adapt,) = [call for call in calls if "poseda adapt" in call]
    assert "--device cuda --preset full --arms wide --out" in adapt and "gpa_lpa" not in adapt


def test_a_symbol_of_the_standard_library_fails_the_links(machine: dict[str, str]) -> None:
    code, shown, _ = check(machine | {"SYMBOL": "W std::codecvt<char>::do_unshift"})
    assert code == 1 and "| links | failed (1) |" in shown


def test_tests_and_sanitizers_run_side_by_side(machine: dict[str, str]) -> None:
    began = time.monotonic()
    code, shown, _ = check(machine | {"PYTEST_SECONDS": "4"})
    assert code == 0, shown
    assert time.monotonic() - began < 4 * 4, "one after the other"


def test_when_time_is_short_steps_are_cut_and_the_last_left_out(machine: dict[str, str]) -> None:
    code, shown, calls = check(machine | {"LIMIT": "17", "PYTEST_SECONDS": "60"})
    assert code == 1 and "| tests | failed (124) |" in shown and "| adapt | no time left | 0 |" in shown
    assert not any("poseda adapt" in call for call in calls)
