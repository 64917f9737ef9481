"""A step of the arm wide: all ways have the same losses before they are timed; its record is shown again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.step import wide

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--presets", "tiny", "--quick"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiler, which takes half a minute."""
    monkeypatch.setattr(wide, "WAYS", {name: wide.WAYS[name] for name in ("eager", "bf16", "graphs")})


@pytest.mark.usefixtures("few")
def test_it_measures_records_and_shows_the_record_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wide.json"
    assert wide.main([*QUICK, "--json", str(path)]) == 0
    assert "a step of the arm wide" in capsys.readouterr().out
    (row,) = json.loads(path.read_text())["results"]
    assert row["seconds"].keys() == {"eager", "bf16"}  # no graphs on a CPU
    assert row["speedup"].keys() == {"bf16"} and row["batch"] == 64 and row["width"] == 32
    assert wide.main(["--markdown", str(path)]) == 0
    assert "| tiny | 1 x 32 | 64 |" in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_the_record_alone_goes_to_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert wide.main([*QUICK, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["results"] and "a step of the arm wide" in shown.err
    assert not Path("-").exists()


def test_ways_that_do_not_train_alike_are_refused() -> None:
    wide.check_losses({"eager": [1.0, 0.5], "bf16": [1.01, 0.505]})
    with pytest.raises(RuntimeError, match=r"bf16: expected the losses of eager steps, \[1.0, 0.5\], got"):
        wide.check_losses({"eager": [1.0, 0.5], "bf16": [1.0, 0.6]})
    with pytest.raises(RuntimeError, match="graphs"):
        wide.check_losses({"eager": [1.0, 0.5], "graphs": [1.0, float("nan")]})
