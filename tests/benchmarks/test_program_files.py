"""The options that a program of the benchmarks prints are read again as they were."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PROGRAMS = {
    "benchmarks.real.program": ["--clips", "{file}", "--out", "{folder}"],
    "benchmarks.verdict": ["--out", "{folder}", "--packaged", "{folder}", "--clips", "{file}"],
    "benchmarks.pretrained": ["--postures-only", "--motion", "{file}"],
    "benchmarks.substitutions.program": ["--out", "{folder}", "--mocap", "{folder}"],
    "benchmarks.step.program": ["--steps", "3"],
    "benchmarks.step.wide": ["--quick"],
    "benchmarks.step.profile": ["--preset", "tiny"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_printed_options_are_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    main: Callable[[Sequence[str]], int] = importlib.import_module(name).main
    file, options = tmp_path / "file.npz", tmp_path / "options.yaml"
    file.touch()
    given = [part.format(file=file, folder=tmp_path) for part in PROGRAMS[name]]
    assert main([*given, "--print-config"]) == 0
    printed = capsys.readouterr().out
    options.write_text(printed)
    assert main(["--config", str(options), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
