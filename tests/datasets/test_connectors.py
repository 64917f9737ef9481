"""Detections from a detector's own results, with stand-ins in the shapes of the real classes."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace as Record
from typing import Any

import numpy as np
import pytest
import torch

from poseda.datasets import (
    DataError,
    Detections2D,
    connectors,
    from_arrays,
    from_mediapipe,
    from_mmpose,
    from_rtmlib,
    from_ultralytics,
)
from poseda.datasets.layouts import LAYOUTS

SIZE = (640, 480)
COCO = LAYOUTS["coco17"].joint_names

STANDING = np.array(
    [
        [320, 90], [326, 84], [314, 84], [334, 88], [306, 88], [350, 130], [290, 130], [356, 190], [284, 190],
        [360, 240], [280, 240], [340, 250], [300, 250], [340, 330], [300, 330], [340, 410], [300, 410],
    ],
    float,
)  # fmt: skip
"""COCO's joints of a person who stands, pixels."""


def people(count: int, frame: int = 0, shift: float = 150) -> np.ndarray:
    """(P, 17, 2) people side by side who move slowly to the right."""
    return np.stack([STANDING + np.array([who * shift + frame * 2 - 150, 0]) for who in range(count)])


def places(found: Detections2D) -> list[tuple[int, int]]:
    return list(zip(found.frame.tolist(), found.person.tolist(), strict=True))


def test_the_examples_of_the_docstrings_run() -> None:
    result = doctest.testmod(connectors)
    assert result.failed == 0 and result.attempted >= 5


def test_connectors_need_no_torch_and_no_detector() -> None:
    code = (
        "import sys, numpy as np; from poseda.datasets import from_arrays;"
        "from_arrays(np.ones((1, 17, 3)) * np.arange(1, 18)[:, None], image_size=(64, 64));"
        "print(sorted({'torch', 'ultralytics', 'mediapipe', 'mmpose', 'rtmlib'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == "[]", printed.stderr


# ------------------------------------------------------------------------------------------------- arrays


def test_arrays_of_one_person_are_frames_of_one_track() -> None:
    points = np.concatenate([people(1, frame) for frame in range(4)])
    found = from_arrays(points, np.full((4, 17), 0.8), SIZE, rate=25)
    assert places(found) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert np.allclose(found.pose_2d, points) and (found.confidence == 0.8).all()
    assert found.layout.name == "coco17" and found.reading.layout_told_by == "number"
    assert found.reading.image_size_told_by == "flag" and found.image_size[0].tolist() == [640, 480]
    assert (found.reading.rate, found.reading.rate_told_by) == (25, "flag")


def test_arrays_of_people_are_followed_or_keep_their_tracks() -> None:
    frames = [people(2, 0), people(2, 1)[::-1], people(2, 2)]
    found = from_arrays(frames, image_size=SIZE)
    assert found.reading.tracking == "followed"
    steps = [np.abs(np.diff(found.pose_2d[found.person == who][:, 0, 0])).max() for who in (0, 1)]
    assert max(steps) == 2  # the change of places in the list is no change of places in the picture
    kept = from_arrays(frames, image_size=SIZE, person=[[7, 9], [9, 7], [7, 9]])
    assert kept.reading.tracking == "file" and set(kept.person.tolist()) == {7, 9}
    square = from_arrays(np.stack([people(2, 0), people(2, 1)]), image_size=SIZE)
    assert len(square) == 4


def test_names_of_joints_are_read_in_any_spelling() -> None:
    names = [
        name.replace("_", " ").title() for name in reversed(connectors.Layout.named("coco17").joint_names)
    ]
    found = from_arrays(people(1)[:, ::-1], image_size=SIZE, joint_names=names)
    assert found.reading.layout_told_by == "names"
    assert found.pose_2d[0, found.layout.joint_names.index("nose")].tolist() == people(1)[0, 0].tolist()
    with pytest.raises(DataError, match="expected 16 joints as joint_names, found 17"):
        from_arrays(people(1), joint_names=names[1:])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"keypoints": []}, r"arrays: detections: expected at least one pose"),
        (
            {"keypoints": np.zeros((2, 3, 17, 5))},
            r"keypoints\[0\]: expected numbers of shape \(people, joints",
        ),
        ({"keypoints": [[["a", "b"]]]}, r"keypoints\[0\]: expected numbers of shape"),
        (
            {"keypoints": people(2)[None], "scores": np.ones((1, 2, 16))},
            r"scores\[0\]: expected shape \(2, 17\)",
        ),
        ({"keypoints": people(2)[None], "person": [[1]]}, r"person\[0\]: expected 2 tracks, found 1"),
        ({"keypoints": np.zeros((1, 5, 2))}, r"keypoints\[0\]: expected 17, .* joints.*found 5 joints"),
        (
            {"keypoints": people(1), "image_size": (0, 480)},
            "image_size: expected a positive width and height",
        ),
    ],
)
def test_other_arrays_are_refused_in_one_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(**given)


# -------------------------------------------------------------------------------------------------- rtmlib


def test_rtmlib_gives_a_frame_or_all_frames() -> None:
    one = from_rtmlib(people(2), np.full((2, 17), 0.7), SIZE)
    assert places(one) == [(0, 0), (0, 1)] and (one.confidence == 0.7).all()
    frames = [people(1, at) for at in range(3)]
    all_of_them = from_rtmlib(frames, [np.ones((1, 17))] * 3, SIZE)
    assert places(all_of_them) == [(0, 0), (1, 0), (2, 0)]
    body26 = from_rtmlib(np.pad(people(1), ((0, 0), (0, 9), (0, 0)), "edge"), np.ones((1, 26)), SIZE)
    assert body26.layout.name == "halpe26"


# --------------------------------------------------------------------------------------------- Ultralytics


def ultralytics_result(count: int, frame: int, tracks: list[int] | None) -> Record:
    """In the shape of ultralytics.engine.results.Results."""
    data = torch.from_numpy(np.concatenate([people(count, frame), np.full((count, 17, 1), 0.9)], -1))
    keypoints = Record(data=data, xy=data[..., :2], conf=data[..., 2], orig_shape=(480, 640))
    ids = None if tracks is None else torch.tensor(tracks, dtype=torch.float32)
    return Record(keypoints=keypoints, orig_shape=(480, 640), boxes=Record(id=ids), names={0: "person"})


def test_ultralytics_results_bring_size_and_tracks() -> None:
    def stream() -> Iterator[Record]:
        yield ultralytics_result(2, 0, [4, 5])
        yield Record(keypoints=None, orig_shape=(480, 640), boxes=None)
        yield ultralytics_result(2, 2, [5, 4])

    found = from_ultralytics(stream())
    assert places(found) == [(0, 4), (2, 4), (0, 5), (2, 5)] and found.reading.tracking == "file"
    assert found.image_size[0].tolist() == [640, 480] and found.reading.image_size_told_by == "file"
    assert (found.confidence == 0.9).all()
    followed = from_ultralytics([ultralytics_result(2, at, None) for at in range(3)])
    assert followed.reading.tracking == "followed"
    assert len(from_ultralytics(ultralytics_result(1, 0, None))) == 1


def test_ultralytics_frames_without_people_are_gaps() -> None:
    nobody = ultralytics_result(1, 1, None)
    nobody.keypoints.data = torch.zeros(0, 17, 3)
    found = from_ultralytics([ultralytics_result(1, 0, None), nobody, ultralytics_result(1, 2, None)])
    assert found.frame.tolist() == [0, 2]
    with pytest.raises(DataError, match="ultralytics: detections: expected at least one pose"):
        from_ultralytics([nobody])


# ----------------------------------------------------------------------------------------------- MediaPipe

BLAZE = np.pad(STANDING / SIZE, ((0, 16), (0, 0)), "edge")
BLAZE[11:17] = (STANDING / SIZE)[5:11]
BLAZE[23:29] = (STANDING / SIZE)[11:17]


def landmarks(visibility: float | None = 0.8) -> list[Record]:
    return [Record(x=x, y=y, z=0.0, visibility=visibility, presence=None) for x, y in BLAZE]


def test_mediapipes_solution_and_task_are_read_alike() -> None:
    solution = [Record(pose_landmarks=Record(landmark=landmarks())), Record(pose_landmarks=None)]
    task = [Record(pose_landmarks=[landmarks()], pose_world_landmarks=[[]]), Record(pose_landmarks=[])]
    for results in (solution, task):
        found = from_mediapipe(results, SIZE)
        assert found.frame.tolist() == [0] and found.layout.name == "mediapipe33"
        assert found.reading.layout_told_by == "format"
        assert np.allclose(found.pose_2d[0], BLAZE * SIZE) and (found.confidence == 0.8).all()
    assert (from_mediapipe(Record(pose_landmarks=[landmarks(None)]), SIZE).confidence == 1).all()
    with pytest.raises(DataError, match="expected 33 joints of mediapipe33, found 5"):
        from_mediapipe(Record(pose_landmarks=[landmarks()[:5]]), SIZE)


# --------------------------------------------------------------------------------------------------- MMPose


def test_mmpose_samples_instances_and_predictions_are_read_alike() -> None:
    instances = Record(keypoints=people(2), keypoint_scores=np.full((2, 17), 0.6), bboxes=np.zeros((2, 4)))
    sample = Record(pred_instances=instances, metainfo={"ori_shape": (480, 640)})
    dicts = [
        {"keypoints": one.tolist(), "keypoint_scores": [0.6] * 17, "bbox": [[0] * 4]} for one in people(2)
    ]
    parts = [
        Record(pred_instances=Record(keypoints=one[None], keypoint_scores=np.full((1, 17), 0.6)), metainfo={})
        for one in people(2)
    ]
    for given in (
        instances,
        sample,
        [sample],
        dicts,
        [dicts],
        [parts],
        {"predictions": [dicts]},
        iter([{"predictions": [dicts], "visualization": []}]),
        [{"frame_id": 0, "instances": dicts}],
    ):
        found = from_mmpose(given, SIZE)
        assert places(found) == [(0, 0), (0, 1)] and np.allclose(found.pose_2d, people(2))
        assert (found.confidence == 0.6).all()
    assert from_mmpose([sample]).image_size[0].tolist() == [640, 480]
    frames = from_mmpose([sample, sample, [], sample])
    assert sorted(set(frames.frame.tolist())) == [0, 1, 3]


def test_mmpose_tracks_and_names_are_used() -> None:
    person = {"keypoints": people(1)[0], "keypoint_scores": np.ones(17)}
    tracked = [[person | {"track_id": 3}], [person | {"track_id": 3}]]
    found = from_mmpose(tracked, SIZE, joint_names=COCO)
    assert found.person.tolist() == [3, 3] and found.reading.layout_told_by == "names"
