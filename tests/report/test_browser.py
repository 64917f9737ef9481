"""Pages of runs and of lifted poses, alive in a real browser.

The browser is chromium. Without it these tests are skipped; with ``POSEDA_REQUIRE_BROWSER=1`` its absence is
a failure.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from lifted import lifted
from pages import HOSTILE, hostile, opened

from benchmarks.report_picture import BROWSERS, find_browser
from poseda.datasets import from_arrays
from poseda.datasets.account import account_of
from poseda.export import poses_page
from poseda.geometry.skeleton import H36M16
from poseda.geometry.world import LEVEL
from poseda.report import RunRecord, page


@pytest.fixture(scope="module")
def browser() -> str:
    found = find_browser()
    if found is None:
        missing = f"no {' or '.join(BROWSERS)} to open the page in"
        if os.environ.get("POSEDA_REQUIRE_BROWSER") == "1":
            pytest.fail(f"POSEDA_REQUIRE_BROWSER=1, but {missing}")
        pytest.skip(missing)
    return found


@pytest.mark.parametrize("names", ["plain", "hostile"])
def test_the_viewer_draws_moves_and_turns_in_a_browser(
    browser: str, record: RunRecord, tmp_path: Path, names: str
) -> None:
    shown = page.build_page(record if names == "plain" else hostile(record))
    seen = opened(browser, shown, tmp_path)
    assert seen["complaints"] == [] and seen["requests"] == [] and seen["stolen"] is None
    assert all(count > 200 for count, _ in seen["first"])
    assert seen["count"].startswith("8 / ") and seen["clips"] == len(record.clip_notes["clips"])
    for before, after in zip(seen["first"], seen["second"], strict=True):
        assert before != after, "every view follows the slider"
    # Dragging turns both bodies and leaves the picture alone.
    assert seen["second"][0] == seen["turned"][0]
    assert seen["second"][1] != seen["turned"][1] and seen["second"][2] != seen["turned"][2]
    # The source model beside itself: the same picture twice.
    assert seen["same"][1] == seen["same"][2] and seen["apart"] == "0 mm apart in this frame"
    # Every arm can stand on either side, and the whole picture be seen.
    assert seen["arms"] == record.clip_notes["models"] and seen["name"] == seen["arms"][-1]
    assert seen["other"][1] != seen["same"][1] and seen["other"][2] == seen["same"][2]
    assert seen["whole"][0] != seen["other"][0] and seen["whole"][1:] == seen["other"][1:]


def test_footage_plays_at_its_rate_under_the_size_of_its_pictures(
    browser: str, record: RunRecord, tmp_path: Path
) -> None:
    points = np.random.default_rng(0).uniform(0, 400, (20, 16, 2))
    detections = from_arrays(points, image_size=(640, 480), layout="h36m16", rate=50.0)
    account = account_of(detections, H36M16)
    notes = json.loads(json.dumps(record.clip_notes))
    for clip in notes["clips"]:
        clip["in_order"] = True
    footage = dataclasses.replace(record, accounts={"": account}, clip_notes=notes)
    seen = opened(browser, page.build_page(footage), tmp_path)
    assert seen["picture"] == "· 640 x 480 pixels · 50 frames a second" and seen["complaints"] == []
    assert seen["count"] == f"8 / {notes['clips'][0]['frames']} · 0.14 s"


def test_a_page_of_lifted_poses_draws_moves_and_turns_in_a_browser(browser: str, tmp_path: Path) -> None:
    """The first frame is a gap, and in the eighth a wrist is unseen."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, size=(12, 16, 3))
    pose[0] = np.nan
    seen_joints = np.ones((12, 16), bool)
    seen_joints[7, 13] = False
    place = rng.uniform(-0.5, 0.5, (12, 16, 2)).astype(np.float32)
    poses = lifted(pose, H36M16, pose_2d=place, visible=seen_joints, clip_names={0: HOSTILE}, arm="wide")
    seen = opened(browser, poses_page(poses, HOSTILE), tmp_path)
    assert seen["complaints"] == [] and seen["requests"] == [] and seen["stolen"] is None
    assert seen["count"] == "8 / 12 · 0.28 s" and seen["arms"] == ["wide"]
    assert seen["gaps"] == "· 1 of 16 joints unseen" and seen["picture"].strip() == "· 25 frames a second"
    unsure = opened(browser, poses_page(dataclasses.replace(poses, rate_assumed=True), HOSTILE), tmp_path)
    assert unsure["picture"].strip() == "· 25 frames a second, assumed"
    assert seen["first"][0] != seen["second"][0] and seen["second"][1] != seen["turned"][1]
    filled = dataclasses.replace(poses, visible=np.ones((12, 16), bool))
    plain = opened(browser, poses_page(filled, HOSTILE), tmp_path)
    assert plain["second"][0] != seen["second"][0] and plain["second"][1] != seen["second"][1], (
        "a hollow joint"
    )


def test_the_viewer_counts_no_made_up_joint_as_unseen_and_draws_it_hollow(
    browser: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    place = rng.uniform(-0.5, 0.5, (12, 16, 2)).astype(np.float32)
    seen_joints = np.ones((12, 16), bool)
    seen_joints[:, H36M16.joint("left_wrist")] = False
    given = lifted(rng.normal(0, 0.3, (12, 16, 3)), H36M16, pose_2d=place, visible=seen_joints, arm="wide")
    made = dataclasses.replace(given, made_up={"head_top": "the nose", "pelvis": "the hips"})
    shown = opened(browser, poses_page(made, "clip"), tmp_path)
    assert shown["gaps"] == "· 1 of 14 joints unseen" and shown["complaints"] == []
    assert shown["second"][0] != opened(browser, poses_page(given, "clip"), tmp_path)["second"][0]
    assert "made of others: head top, pelvis." in poses_page(made, "clip")


def test_there_is_a_floor_only_where_somebody_knows_which_way_is_up(browser: str, tmp_path: Path) -> None:
    pose = np.random.default_rng(0).normal(0, 0.3, size=(12, 16, 3))
    place = np.zeros((12, 16, 2), np.float32)
    seen = {}
    for name, up in {"level": {0: LEVEL}, "leaning": {0: (0.6, -0.8, 0.0)}, "unknown": {}}.items():
        poses = lifted(pose, H36M16, pose_2d=place, up=up, arm="wide")
        seen[name] = opened(browser, poses_page(poses, name), tmp_path)
        assert seen[name]["complaints"] == []
    painted = {name: found["second"][1] for name, found in seen.items()}
    assert painted["level"][0] > painted["unknown"][0] + 500, "pixels of the floor"
    assert painted["level"][1] != painted["leaning"][1]
    assert seen["unknown"]["order"].startswith("Which way is up is unknown for wide: there is no floor")
    assert seen["level"]["order"] == ""


def test_a_run_of_one_model_shows_it_alone(browser: str, record: RunRecord, tmp_path: Path) -> None:
    notes = {**record.clip_notes, "models": ["source_only"]}
    config = json.loads(json.dumps(record.config))
    config["config"]["arms"] = ["source_only"]
    alone = dataclasses.replace(record, clip_notes=notes, config=config)
    seen = opened(browser, page.build_page(alone), tmp_path)
    assert seen["complaints"] == []
    assert all(count > 200 for count, _ in seen["first"][:2]) and seen["first"][2][0] == 0
