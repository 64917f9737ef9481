"""What `poseda adapt` says before it trains: few lines, with a count of all that is guessed or dropped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bodies import walk
from motions import trc
from rich.console import Console
from runs import short_steps

from poseda.cli import main
from poseda.cli.adapt_screen import show_data
from poseda.datasets.account import Account
from poseda.runs.record import RunRecord

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["--preset", "tiny", *short_steps(2), "--device", "cpu"]
MOST = 11
"""Most lines before training."""


@pytest.fixture
def adapt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """``adapt(*options)``: the lines before the first phase of a run."""

    def adapt(*options: object) -> list[str]:
        assert main(["adapt", *TINY, "--out", str(tmp_path / "run"), *map(str, options)]) == 0
        lines = capsys.readouterr().out.splitlines()
        phase = next((at for at, line in enumerate(lines) if "done in" in line), len(lines))
        return lines[:phase]

    return adapt


def footage(path: Path) -> list[Path]:
    """Two paths: people whose wrist flickers and whose upper half is hidden at times, and one who jumps."""
    rows = []
    for who, poses in enumerate((walk(40, (200, 300)), walk(40, (400, 320)))):
        for at, pose in enumerate(poses):
            confidence = np.ones((17, 1))
            confidence[9, 0] = at % 2
            if at % 7 == 0:
                confidence[:12] = 0.05
            keypoints = np.hstack([pose, confidence]).ravel().tolist()
            rows.append(
                {"image_id": at, "category_id": 1, "track_id": who, "keypoints": keypoints, "score": 1}
            )
    (path / "yard.json").write_text(json.dumps(rows))
    # Back where someone was a few pictures ago it is the same person; a body farther on it is another.
    np.savez(path / "hall.npz", keypoints=np.concatenate([walk(40, (x, 200)) for x in (60, 69, 78, 400)]))
    return [path / "yard.json", path / "hall.npz"]


def test_footage_is_accounted_for_in_few_lines_that_count_what_is_guessed_or_dropped(
    tmp_path: Path, adapt: Callable[..., list[str]]
) -> None:
    lines = adapt("--target", *footage(tmp_path), "--image-size", "640x480", "--arms", "wide", "wide_target")
    assert len(lines) <= MOST and max(map(len, lines[:-1])) <= 80, "\n".join(lines)
    said = " ".join(" ".join(lines).split())
    for fact in (
        "footage of 2 paths: 240 detections of 4 people in 200 frames, 2 clips; picture 640x480 (as given);",
        "COCO results JSON, coco17; npz, coco17",
        "dropped: none; unseen: 178 joints; made up: 4; too few joints: 12 rows; rate unknown",
        "warning: 1 track cut at a jump",
        "camera: yard: field of view unknown, 55 degrees across the longer side assumed",
        "arms: wide, wide_target; seed 0; 80 training steps, and about",
        "more: --verbose",
    ):
        assert fact in said
    record = RunRecord.read(tmp_path / "run")
    assert record.card["target rows"].startswith("12 of 240") and len(record.accounts) == 2


def test_verbose_prints_the_whole_account_and_the_protocol_and_is_no_part_of_a_run(
    tmp_path: Path, adapt: Callable[..., list[str]]
) -> None:
    given = ("--target", footage(tmp_path)[0], "--image-size", "640x480", "--arms", "wide")
    adapt(*given)
    lines = adapt(*given, "--resume", "--verbose")
    said = " ".join("".join(lines).replace("│", " ").split())
    for fact in (
        "made up, as the layout lacks them: pelvis (mean",
        "seen in few rows: left_wrist",
        "PCK, AUC",
    ):
        assert fact in said
    assert "more: --verbose" not in said
    assert "verbose" not in RunRecord.read(tmp_path / "run").config


def test_rows_that_a_file_marks_and_files_of_weak_labels_are_counted_beyond_the_first() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    marked = SimpleNamespace(name="studio", dropped={"source": 0, "target_train": 3})
    show_data(console, marked, verbose=False)  # type: ignore[arg-type]
    assert "data: studio" in shown.getvalue()
    assert "marks them as not valid: 3 of target_train\n" in shown.getvalue()
    account = Account.from_json(
        {
            "format": "npz", "layout": "coco17", "layout_told_by": "number", "clips": [], "people": 1,
            "tracking": "single", "frames": 1, "rows": 1, "dropped": {"without joints": 7, "twice": 2},
            "image_size": None, "image_size_told_by": "unknown", "off_picture": None, "seen": {},
            "made_up": {}, "usable": {"placement": 1, "lifting": 1, "whole": 1}, "rate": None, "warnings": (),
        }
    )  # fmt: skip
    weak = SimpleNamespace(account=tuple(f"weak labels: 1 of 2 poses of {at}.npz" for at in range(5)))
    shown.truncate(0)
    show_data(console, SimpleNamespace(accounts={"": account}, camera="unknown", weak=weak), verbose=False)  # type: ignore[arg-type]
    assert "dropped: 9;" in shown.getvalue() and "picture size (unknown)" in shown.getvalue()
    assert "of 1.npz\nweak labels: 3 files more\n" in shown.getvalue()


def test_the_embedded_domains_need_few_lines(adapt: Callable[..., list[str]]) -> None:
    lines = adapt("--arms", "source_only", "gpa")
    assert lines[0] == "data: embedded" and len(lines) <= 7
    assert any(line.startswith("arms: source_only, gpa; seed 0;") for line in lines)


def test_what_a_source_lacks_or_loses_is_counted(tmp_path: Path, adapt: Callable[..., list[str]]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "walk.trc").write_text(trc(frames=8))
    (source / "cut.trc").write_text(trc()[:300])
    lines = adapt(
        *("--target", footage(tmp_path)[1], "--image-size", "640x480", "--source", source),
        *("--arms", "source_only"),
    )
    said = " ".join(lines)
    assert len(lines) <= MOST + 2
    assert "left out: 1 file" in said and "source: which way is up" in said
