"""The report of ptxas: what a build's log says of each kernel, and what makes the report fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.op import ptxas_report

pytestmark = pytest.mark.skipif(shutil.which("c++filt") is None, reason="needs c++filt")

LOG = """ptxas info    : Compiling entry function '_ZN6poseda6kernelIfEEvPf' for 'sm_90'
ptxas info    : Function properties for _ZN6poseda6kernelIfEEvPf
    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers
"""


@pytest.mark.parametrize(
    ("stack", "stores", "loads", "code"),
    [(0, 0, 0, 0), (8, 4, 8, 1), (1440, 0, 0, 1)],
    ids=["registers alone", "spills", "variables in local memory"],
)
def test_spills_and_local_memory_fail_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stack: int, stores: int, loads: int, code: int
) -> None:
    log, record = tmp_path / "build.log", tmp_path / "ptxas.json"
    log.write_text(LOG.format(stack=stack, stores=stores, loads=loads))
    assert ptxas_report.main([str(log), "--json", str(record)]) == code
    shown = capsys.readouterr()
    assert "64 registers" in shown.out and ("kernel<float> (sm_90)" in shown.err) == bool(code)
    (row,) = json.loads(record.read_text())
    assert row["stack"] == stack and row["spill_stores"] == stores and row["registers"] == 64


def test_a_log_without_a_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "build.log"
    log.write_text("nothing was compiled")
    assert ptxas_report.main([str(log)]) == 2
    assert "expected a report of ptxas" in capsys.readouterr().err
