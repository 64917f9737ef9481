"""`python -m benchmarks.detections` on clips made here: borders, runs of frames, confidence against error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detections import Footage, lost_together, main, open_footage, rank_correlation, runs, windows
from benchmarks.real.clips import LIMBS
from poseda.geometry.skeleton import H36M16

pytestmark = pytest.mark.usefixtures("one_thread")


def rewritten(clip: Path, **changed: np.ndarray) -> Path:
    """The clip at 10 Hz with other arrays."""
    with np.load(clip) as archive:
        arrays = dict(archive)
    np.savez(clip, **(arrays | {"fps": np.float64(10)} | changed))
    return clip


def arrays(clip: Path, name: str) -> np.ndarray:
    with np.load(clip) as archive:
        return np.array(archive[name])


def footage(seen: np.ndarray) -> Footage:
    """Made-up footage in which these joints (F, 12) are seen."""
    shape = (*seen.shape, 2)
    shown = seen.sum(1) >= 4
    return Footage("made up", 10.0, np.zeros(shape), seen.astype(float), np.zeros(shape), (10, 10), shown)


def hidden(frames: int, **joints: range) -> np.ndarray:
    seen = np.ones((frames, len(LIMBS)), bool)
    for joint, unseen in joints.items():
        seen[list(unseen), LIMBS.index(joint)] = False
    return seen


def test_unseen_joints_beyond_the_border_are_counted_by_side(clip: Path) -> None:
    keypoints = arrays(clip, "keypoints")
    ankles = [H36M16.joint(f"{side}_ankle") for side in ("left", "right")]
    low = int(keypoints[0, :20, ankles, 1].min())  # every ankle is below this row of the first camera
    keypoints[0, :, ankles, 2] = 0
    size = arrays(clip, "image_size")
    size[0, 1] = low
    rewritten(clip, keypoints=keypoints, image_size=size)
    out = clip.with_suffix(".json")
    assert main(["--clips", str(clip), "--json", str(out)]) == 0
    first, second = json.loads(out.read_text())["views"]
    assert first["frames"] == first["lacking"] == first["cropped"] == first["sides"]["bottom"] == 20
    assert first["joints_beyond"] >= 2 and first["sides"]["top"] == 0
    assert second["cropped"] == second["lacking"] == 0


def test_a_joint_that_is_unseen_within_the_picture_is_not_cropped(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keypoints = arrays(clip, "keypoints")
    keypoints[0, 5:9, H36M16.joint("left_wrist"), 2] = 0
    out = rewritten(clip, keypoints=keypoints).with_suffix(".json")
    assert main(["--clips", str(clip), "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["views"][0]["lacking"] == 4 and record["views"][0]["cropped"] == 0
    assert record["runs"]["wrist"]["frames"] == [4.0, 4.0, 4.0]
    assert record["runs"]["wrist"]["seconds"][1] == pytest.approx(0.4)
    table = capsys.readouterr().out
    assert "| someone 0 | 20 | 20 | 2 | 0 |" in table and "| wrist | 1 | 0 |" in table


def test_runs_that_touch_the_end_of_what_is_shown_are_marked() -> None:
    seen = hidden(20, left_wrist=range(3, 6), right_knee=range(15, 20))
    seen[10] = False  # nobody is shown
    assert sorted(runs(footage(seen))) == [("left_wrist", 3, False), ("right_knee", 5, True)]


def test_joints_of_windows_are_unseen_throughout_or_in_part() -> None:
    found = windows(footage(hidden(18, left_wrist=range(9), left_ankle=range(12, 15))), 9)
    assert (found["windows"], found["lacking"], found["changing"]) == (2, 2, 1)
    assert (found["joints"], found["throughout"]) == (2, 1)
    assert found["partly_share"] == pytest.approx(1 / 3)


def test_joints_that_are_lost_together_are_counted() -> None:
    seen = hidden(30, left_wrist=range(5, 8), left_elbow=range(6, 9), right_knee=range(20, 25))
    assert lost_together(footage(seen)) == {"lost": 3, "alone": 1, "same_limb": 2}


def test_confidence_that_falls_with_the_error_has_a_rho_of_minus_one(clip: Path) -> None:
    keypoints = arrays(clip, "keypoints").astype(float)
    off = np.linspace(0, 20, 40 * 16).reshape(40, 16)
    keypoints[..., 0] += off
    keypoints[..., 2] = 0.9 - off / 100
    out = rewritten(clip, keypoints=keypoints).with_suffix(".json")
    assert main(["--clips", str(clip), "--json", str(out)]) == 0
    told = json.loads(out.read_text())["views"][0]["confidence"]
    assert told["rho"] < -0.9 and told["joints"] == 240
    assert told["rho_by_joint"] is None, "twenty frames are too few to rank one joint by itself"


def test_ranks_are_those_of_spearman() -> None:
    one, other = np.tile([1.0, 2, 3, 4, 4], 10), np.tile([2.0, 1, 4, 3, 5], 10)
    stats = pytest.importorskip("scipy.stats")
    assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(one, other)[0])
    assert rank_correlation(one[:10], other[:10]) is None and rank_correlation(one, one * 0) is None


def test_only_first_halves_are_read(clip: Path) -> None:
    assert [len(view.shown) for view in open_footage([rewritten(clip)])] == [20, 20]
