"""The benchmark of every variant of the kernels, on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.op import kernels
from benchmarks.op.kernels import VARIANTS

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_variant_is_checked_and_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "CHECKED", 64)
    record = tmp_path / "record.json"
    assert kernels.main(["--device", "cpu", "--quick", "--batches", "1", "54", "--json", str(record)]) == 0
    shown = capsys.readouterr().out
    found = json.loads(record.read_text())
    assert set(found["errors"]) == set(VARIANTS)
    assert all(error < kernels.CLOSE[name] for row in found["errors"].values() for name, error in row.items())
    rows = {(row["variant"], row["poses"], row["direction"]) for row in found["rows"]}
    assert rows == {(name, n, way) for name in VARIANTS for n in (1, 54) for way in ("forward", "adjoint")}
    assert all(row["seconds"] > 0 and row["copy_share"] is None for row in found["rows"])
    frames = {(row["variant"], row["poses"]): row["frames"] for row in found["rows"]}
    assert frames["h36m16", 54] == frames["in sequences of 27", 54] == 54
    assert frames["in sequences of 27", 1] == 27
    assert shown.splitlines()[0] == "| forward / adjoint | 1 | 54 |"
    assert shown.splitlines()[2].startswith("| h36m16 | ")
    assert kernels.main(["--markdown", str(record)]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--variants", "h36m61"], "--variants: expected one of h36m16, + gradient"),
        (["--batches", "0"], "--batches: expected"),
        (["--device", "cpu", "--json", f"{__file__}/k.json"], "--json: expected"),
        (["--device", "tpu"], "--device: expected"),
    ],
)
def test_bad_input_is_refused_before_measuring(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kernels.main(given) == 2
    assert said in capsys.readouterr().err


def test_a_call_moves_what_it_reads_and_writes() -> None:
    timed = kernels.Timed.draw(VARIANTS["h36m16"], 100, 0, "cpu")
    pose, turns, scales, body, index, valid = 16 * 12, 15 * 12, timed.given.bone_scale.shape[1] * 4, 12, 8, 1
    screen, tables = 16 * 8, 4096 * (4 + 4 + 5) * 4  # placement, focal length and centre, lens
    read = 100 * (pose + turns + scales + body + index) + tables
    forward, adjoint = timed.bytes()
    assert forward == read + 100 * (pose + screen + valid)
    assert adjoint == read + 100 * (pose + screen + valid + turns + scales + body)


def test_a_kernel_that_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CHECKED", 16)
    monkeypatch.setitem(kernels.CLOSE, "pose_3d", 1e-9)
    with pytest.raises(RuntimeError, match="h36m16: pose_3d has an error of"):
        kernels.checked({"h36m16": VARIANTS["h36m16"]}, "cpu")
