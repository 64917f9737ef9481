"""Content that is not what it seems: marks for unseen joints, scales of confidence, numbers as tracks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseda.datasets import DataError, read_detections
from poseda.datasets.account import account_of
from poseda.datasets.conversion import enough_seen
from poseda.datasets.formats.sightings import as_shares
from poseda.geometry.skeleton import COCO17, MPI_INF_3DHP

SIZE = (1280, 720)


def body(frame: int, at: float = 300.0) -> np.ndarray:
    """(17, 3) a standing person in COCO's order who walks to the right."""
    x = [0, 3, -3, 6, -6, 25, -25, 30, -30, 32, -32, 14, -14, 15, -15, 15, -15]
    y = [0, -4, -4, -2, -2, 30, 30, 70, 70, 105, 105, 110, 110, 165, 165, 215, 215]
    return np.stack([np.array(x) + at + 3 * frame, np.array(y) + 200.0, np.ones(17)], 1)


def items(frames: int = 12, people: int = 2, **keys: Callable[[int, int], Any]) -> list[dict[str, Any]]:
    return [
        {"image_id": frame, "keypoints": body(frame, 300.0 + 400 * person).ravel().tolist()}
        | {key: value(frame, person) for key, value in keys.items()}
        for frame in range(frames)
        for person in range(people)
    ]


def test_minus_one_marks_an_unseen_joint(write: Callable[..., Path]) -> None:
    content = items(people=1)
    for item in content[::2]:
        item["keypoints"][3 * 9 : 3 * 9 + 2] = [-1.0, -1.0]
    found = read_detections(write(content), SIZE)
    assert (found.confidence[:, 9] == 0).sum() == 6 and np.isnan(found.pose_2d[::2, 9]).all()
    assert account_of(found).off_picture == 0


@pytest.mark.parametrize(
    ("confidence", "shares", "doubt"),
    [
        ([0.0, 0.4, 1.1], [0.0, 0.4, 1.1], None),
        ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], None),
        ([0.0, 35.0, 90.0], [0.0, 0.35, 0.9], "taken for percent"),
        ([-2.0, 1.0, 6.0], [1.0, 1.0, 1.0], "no shares: every joint counts as seen"),
        ([0.0, 3.0, 500.0], [1.0, 1.0, 1.0], "no shares: every joint counts as seen"),
    ],
)
def test_confidences_of_another_scale_are_told(
    confidence: list[float], shares: list[float], doubt: str | None
) -> None:
    found, told = as_shares(np.array([confidence]), np.ones((1, 3), bool))
    np.testing.assert_allclose(found, [shares])
    assert (doubt is None and not told) or (doubt is not None and doubt in told[0])


def test_an_account_says_that_the_threshold_hides_most(write: Callable[..., Path]) -> None:
    content = items(people=1)
    for item in content:
        item["keypoints"][2::3] = [0.2] * 17
    warnings = account_of(read_detections(write(content), SIZE)).warnings
    assert any("100% of the detected joints have a confidence below 0.3" in line for line in warnings)
    assert not account_of(read_detections(write(items()), SIZE)).warnings


def test_numbers_that_never_come_again_are_no_tracks(write: Callable[..., Path]) -> None:
    counting = read_detections(write(items(idx=lambda frame, person: 2 * frame + person)), SIZE)
    assert counting.reading.tracking == "followed" and len(np.unique(counting.person)) == 2
    assert any("a track of its own" in line for line in counting.reading.warnings)
    tracked = read_detections(write(items(idx=lambda frame, person: 7 * person), "t.json"), SIZE)
    assert tracked.reading.tracking == "file" and np.unique(tracked.person).tolist() == [0, 7]


def test_tracks_may_have_names(write: Callable[..., Path]) -> None:
    content = items(track_id=lambda frame, person: ["anna", "ben"][person])
    found = read_detections(write(content), SIZE)
    assert found.reading.tracking == "file" and np.unique(found.person).tolist() == [0, 1]
    first = found.pose_2d[found.person == 0, 0, 0]
    assert (np.diff(first) > 0).all() and first.max() < 500
    images = [{"id": frame, "width": 1280, "height": 720} for frame in range(12)]
    coco = {
        "images": images,
        "annotations": content,
        "categories": [{"keypoints": list(COCO17.joint_names)}],
    }
    again = read_detections(write(coco, "coco.json"))
    assert np.array_equal(again.person, found.person)


def test_a_picture_with_other_joints_is_left_out_and_named(tmp_path: Path) -> None:
    for frame in range(5):
        points = body(frame) if frame != 3 else body(frame)[:15]
        people = [{"pose_keypoints_2d": points.ravel().tolist()}]
        (tmp_path / f"a_{frame:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    found = read_detections(tmp_path, SIZE)
    assert found.frame.tolist() == [0, 1, 2, 4]
    assert any("a_000000000003" in line and "17" in line for line in found.reading.warnings)
    with pytest.raises(DataError, match="000000000003"):
        read_detections(tmp_path, SIZE, strict=True)


def test_clips_are_named_by_their_videos_alone_where_that_is_enough(write: Callable[..., Path]) -> None:
    def content(one: str, other: str) -> list[dict[str, Any]]:
        found = items(frames=6, people=2)
        for item in found[::2]:
            item["image_id"] = f"{one}/{item['image_id']:03d}.jpg"
        for item in found[1::2]:
            item["image_id"] = f"{other}/{item['image_id']:03d}.jpg"
        return found

    named = read_detections(write(content("out/videoA", "out/videoB")), SIZE).reading.clip_names
    assert sorted(named.values()) == ["videoA", "videoB"]
    alike = read_detections(write(content("a/cam", "b/cam"), "b.json"), SIZE).reading.clip_names
    assert sorted(alike.values()) == ["a/cam", "b/cam"]


def test_a_missing_joint_is_refused_with_the_name_of_the_file(write: Callable[..., Path]) -> None:
    path = write(items(people=1))
    with pytest.raises(DataError, match=f"^{path}: layout coco17: expected joints for skeleton"):
        account_of(read_detections(path, SIZE), MPI_INF_3DHP)


def test_a_head_and_arms_are_enough_and_a_face_alone_is_not() -> None:
    """Counted are the joints of the detector, of which a few must be the skeleton's own."""
    detected = np.zeros((2, 25), bool)
    detected[:, :11] = True
    own = np.zeros((2, 13), bool)
    own[0, :5] = True
    assert enough_seen(detected, own, 8).tolist() == [True, False]
    assert enough_seen(detected, own, 12).tolist() == [False, False]
