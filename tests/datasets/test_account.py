"""The account of a read: what it says, and that it is what happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bodies import walk

from poseda.datasets import DataError, own_domains, read_detections
from poseda.datasets.account import Account, account_of, check_usable
from poseda.datasets.account_words import brief_of, lines_of
from poseda.datasets.layouts import LAYOUTS
from poseda.datasets.people import choose_people
from poseda.geometry.placements import TargetPlacements

KEYS = (
    *("format", "layout", "layout_told_by", "clips", "people", "tracking", "frames", "rows", "dropped"),
    *("image_size", "image_size_told_by", "off_picture", "seen", "made_up", "usable", "rate", "warnings"),
    *("unseen", "replaced"),
)
SIZE = (1280, 720)


def write(path: Path, people: list[np.ndarray], hide: dict[int, list[int]] | None = None) -> Path:
    """AlphaPose results of a tracker; ``hide`` maps frames to joints that are unseen there."""
    rows = []
    for who, poses in enumerate(people):
        for at, points in enumerate(poses):
            confidence = np.ones(17)
            confidence[(hide or {}).get(at, [])] = 0
            keypoints = np.c_[points, confidence].ravel().tolist()
            rows.append(
                {"image_id": f"{at}.jpg", "keypoints": keypoints, "score": 1.0, "box": [0], "idx": who}
            )
    path.write_text(json.dumps(rows))
    return path


def test_the_account_says_what_was_read_and_how(tmp_path: Path) -> None:
    ankles, hips = [15, 16], [11, 12]
    hide = {3: hips, **{at: ankles for at in range(10, 20)}}
    path = write(tmp_path / "yard.json", [walk(20, (200, 300)), walk(20, (800, 300))], hide)
    account = account_of(read_detections(path, SIZE))
    content = account.as_json()
    assert tuple(content) == KEYS
    assert json.loads(json.dumps(content)) == content
    assert content["format"] == "AlphaPose JSON" and content["layout"] == "coco17"
    assert content["layout_told_by"] == "number" and content["tracking"] == "file"
    assert content["clips"] == [{"clip": 0, "name": "yard", "people": 2, "frames": 20, "rows": 40}]
    assert (content["people"], content["frames"], content["rows"]) == (2, 20, 40)
    assert content["image_size"] == [1280, 720] and content["image_size_told_by"] == "flag"
    assert content["off_picture"] == 0 and content["rate"] is None and content["warnings"] == []
    assert content["seen"]["left_ankle"] == 0.5 and content["seen"]["nose"] == 1
    assert content["made_up"]["pelvis"] == {"mean of left_hip, right_hip": 38}
    assert content["usable"] == {"placement": 38, "lifting": 40, "whole": 20}


def test_the_rows_usable_for_placement_are_those_that_adapting_places(tmp_path: Path) -> None:
    path = write(tmp_path / "yard.json", [walk(20, (300, 300))], {at: [11] for at in range(4)})
    domains = own_domains(None, path, SIZE)
    target = domains.adaptation().target
    placed = TargetPlacements.build(target.pose_2d, target.camera, domains.skeleton, target.visible)
    (account,) = domains.accounts.values()
    assert account.usable["placement"] == len(placed) == 16


def test_the_account_for_people_has_few_lines_and_every_doubt(tmp_path: Path) -> None:
    path = write(tmp_path / "yard.json", [walk(20, (600, 660), (0, 0))], {at: [9] for at in range(15)})
    lines = list(lines_of(account_of(read_detections(path, SIZE))))
    assert len(lines) == 5
    assert lines[0].startswith(
        "AlphaPose JSON, layout coco17 (by the number of joints); 1 person (one at a time) in 1 clip: yard; "
        "20 detections in 20 frames; dropped: none; picture 1280x720 (as given), 12.3% of the joints"
    )
    assert lines[1].startswith("made up, as the layout lacks them: pelvis (mean of left_hip, right_hip); ")
    assert lines[2] == "unseen in their row: 15 joints (4%)"
    assert lines[3] == "seen in few rows: left_wrist 25%"
    assert lines[4] == "warning: 12% of the seen joints lie outside the picture"


def test_the_brief_account_has_eight_lines_with_every_count(tmp_path: Path) -> None:
    path = tmp_path / "yard.json"
    write(path, [walk(20, (100 * at, 660), (0, 0)) for at in range(9)], {at: [9] for at in range(15)})
    account = account_of(read_detections(path, SIZE), min_confidence=0.9)
    account = replace(account, warnings=("a long warning, " * 40, "another"), dropped={"without joints": 7})
    text = "\n".join(brief_of(account))
    assert len(text.splitlines()) <= 8 and max(map(len, text.splitlines())) <= 80
    for count in ("180 detections", "9 people", "20 frames", "dropped: 7", "made up, 4 joints", "1 of 2"):
        assert count in " ".join(text.split())
    assert "unseen in their row: 135 joints (4%)" in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 25.0, "rate_told_by": "flag"}, "frame rate 25 a second (as given)"),
        ({"image_size_told_by": "file"}, "picture 1280x720 (from the file)"),
        ({"image_size": None, "image_size_told_by": "unknown"}, "picture size (unknown); frame rate unknown"),
    ],
)
def test_the_brief_account_says_size_rate_and_clips_and_cuts_none_of_them_for_long_names(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    account = account_of(read_detections(write(tmp_path / "yard.json", [walk(20, (300, 300))]), SIZE))
    assert "picture 1280x720 (as given); frame rate unknown; 1 clip\n" in "\n".join(brief_of(account))
    (clip,) = account.clips
    several = replace(account, clips=({**clip, "name": "hall " * 9}, {**clip, "name": "yard"}), **given)
    text = "\n".join(brief_of(several))
    assert said in text and "; 2 clips: hall" in text
    short = replace(several, clips=({**clip, "name": "a"}, {**clip, "name": "b"}))
    assert "; 2 clips: a, b\n" in "\n".join(brief_of(short))


def test_joints_that_are_unseen_and_joints_that_are_made_up_are_kept_apart(tmp_path: Path) -> None:
    """OpenPose has a middle of the hips. Where it is unseen, the hips make it; no layout lacks it there."""
    rows = walk(4, (300, 300), layout="body_25")
    content = [
        {"image_id": f"{at}.jpg", "keypoints": np.c_[pose, np.ones(25)].tolist()}
        for at, pose in enumerate(rows)
    ]
    middle = LAYOUTS["body_25"].joint_names.index("neck")
    content[1]["keypoints"][middle][2] = 0
    (tmp_path / "a.json").write_text(json.dumps(content))
    account = account_of(read_detections(tmp_path / "a.json", SIZE))
    assert account.unseen == 1 and account.seen["neck"] == 0.75
    assert set(account.made_up) | set(account.replaced) >= {"thorax", "head_top"}
    assert not set(account.made_up) & set(account.replaced)


def test_an_account_goes_through_json(tmp_path: Path) -> None:
    account = account_of(read_detections(write(tmp_path / "a.json", [walk(5, (300, 300))]), SIZE))
    again = Account.from_json(json.loads(json.dumps(account.as_json())))
    assert list(lines_of(again)) == list(lines_of(account))
    with pytest.raises(ValueError, match="expected the entries of an account"):
        Account.from_json({"rate": None, "colour": 1})


def test_people_are_chosen_by_size_and_by_number(tmp_path: Path) -> None:
    small, large = walk(10, (200, 300)), 300 + 2 * (walk(10, (200, 100)) - [200, 100])
    found = read_detections(write(tmp_path / "a.json", [small, large]), SIZE)
    assert choose_people(found) is found
    largest = choose_people(found, "largest")
    assert set(largest.person) == {1}
    assert largest.reading.dropped == {"not the largest person of the clip": 10}
    assert set(choose_people(found, 0).person) == {0}
    with pytest.raises(DataError, match=r"people: expected all, largest or one of 0, 1, found 5"):
        choose_people(found, 5)


def test_the_largest_is_chosen_in_each_clip(tmp_path: Path) -> None:
    pose = np.concatenate(
        [walk(5, (200, 300)), 2 * walk(5, (400, 150)), 2 * walk(5, (100, 150)), walk(5, (900, 300))]
    )
    clip, person = np.repeat([0, 0, 1, 1], 5), np.repeat([0, 1, 0, 1], 5)
    frame = np.tile(np.arange(5), 4)
    np.savez(tmp_path / "a.npz", keypoints=pose, clip=clip, person=person, frame=frame, image_size=SIZE)
    found = choose_people(read_detections(tmp_path / "a.npz"), "largest")
    assert sorted({*zip(found.clip.tolist(), found.person.tolist(), strict=True)}) == [(0, 1), (1, 0)]


def test_footage_with_too_few_usable_rows_is_refused_with_their_numbers(tmp_path: Path) -> None:
    legs = list(range(11, 17))
    path = write(tmp_path / "a.json", [walk(40, (300, 300))], {at: legs for at in range(37)})
    with pytest.raises(
        DataError, match="found 3 usable for placement and 40 for lifting, of 40; take footage"
    ):
        check_usable({"": account_of(read_detections(path, SIZE))}, [path])
