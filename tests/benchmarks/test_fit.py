"""The benchmark of the fit: the rows say what each part is worth, on the same poses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import fit


def test_the_record_has_every_variant_and_the_fit_gains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "VARIANTS", {name: fit.VARIANTS[name] for name in ("fit", "without smoothness")})
    monkeypatch.setattr(fit, "speed", lambda case, counts: [(count, 1, 1.0) for count in counts])
    out = tmp_path / "fit.json"
    assert fit.main(["--size", "0.03", "--json", str(out)]) == 0
    found = {name: values for name, *values in json.loads(out.read_text())["rows"]}
    assert list(found) == ["lifted", "fit", "without smoothness"]
    error, acceleration, spread, *_ = zip(*found.values(), strict=True)
    assert error[1] < 0.7 * error[0] and acceleration[1] < 0.5 * acceleration[2]
    assert spread[0] > 10 and spread[1] < 0.01
    assert "| without smoothness |" in capsys.readouterr().out
