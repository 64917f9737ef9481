"""`python -m benchmarks.verdict`: what a scene is, and the table of recommendations against labels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.verdict import FEWEST, HEADINGS, Home, Scene, by_group, main, mocap_scenes
from poseda.datasets import LabelledPoses
from poseda.geometry.camera import Camera


def scene(wide: float, taught: float, recommended: str, predicted: tuple[float, float]) -> dict[str, Any]:
    """A judged scene: true errors, the recommended arm, and predicted errors of the two arms."""
    errors = {
        arm: {"error": error, "low": 0.8 * error, "high": 1.25 * error}
        for arm, error in zip(("wide", "wide_target"), predicted, strict=True)
    }
    evidence = {"errors": errors, "recommended": recommended}
    return {"group": "some", "true": {"wide": wide, "wide_target": taught}, "evidence": evidence}


def test_the_table_counts_good_choices_and_the_worst_loss() -> None:
    scenes = [
        scene(100.0, 80.0, "wide_target", (100.0, 80.0)),
        scene(100.0, 110.0, "wide_target", (100.0, 90.0)),
        scene(100.0, 96.0, "wide", (50.0, 50.0)),
        scene(100.0, 100.0, "wide", (100.0, 100.0)),
    ]
    headings, ((group, *cells),) = by_group(scenes)
    line = dict(zip(headings[1:], cells, strict=True))
    assert headings == HEADINGS and group == "some" and line["number"] == "4"
    assert (line["good: recommended"], line["wide_target"], line["wide"]) == ("75 %", "75 %", "75 %")
    assert line["worst against wide"] == "+10 %" and line["in the interval"] == "75 %"
    assert line["error: off by"] == "+0.17 ± 0.30"
    ratios = np.log([[0.8, 0.8], [1.1, 0.9], [0.96, 1.0], [1.0, 1.0]])
    assert line["ratio: true"] == f"{ratios[:, 0].mean():+.3f}"
    assert line["off by"] == f"{np.sqrt(((ratios[:, 0] - ratios[:, 1]) ** 2).mean()):.3f}"


def test_a_scene_is_a_person_before_a_camera_and_small_ones_are_left_out() -> None:
    size = 3 * FEWEST
    camera = np.arange(size) % 3 == 0
    poses = LabelledPoses(
        torch.randn(size, 16, 3),
        torch.randn(size, 16, 2),
        Camera(torch.ones(size, 2), torch.zeros(size, 2)),
        torch.zeros(size, dtype=torch.int64),
        {"camera": camera.astype(int), "subject": np.where(np.arange(size) < FEWEST, "a", "b")},
    )
    domains = SimpleNamespace(oracle=lambda: poses, evaluation=lambda: poses)
    found = list(mocap_scenes(domains, "p9"))
    assert [one.name for one in found[:4]] == [f"p9 train {at} {who}" for at in (0, 1) for who in "ab"]
    assert sum(len(one.poses) for one in found) == 2 * size
    assert [one.taught for one in found] == [True] * 4 + [False] * 4
    kept = Home(None, {}, poses, tuple(found), False).scenes()  # type: ignore[arg-type]
    assert {len(one.poses) for one in kept} == {len(one.poses) for one in found if len(one.poses) >= FEWEST}
    thin: Scene = found[1].thinned(10)
    assert len(thin.poses) == len(thin.truth) == 10


def test_without_a_folder_of_runs_it_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "v.json")]) == 2
    assert "--real, --packaged or --mocap: expected a folder with runs, got none" in capsys.readouterr().err
    assert not (tmp_path / "v.json").exists()
