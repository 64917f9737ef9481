"""Content that cannot be what the file or the user says is refused; doubtful content is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bodies import body, walk

from poseda.datasets import DataError, read_detections
from poseda.datasets.checks import off_picture
from poseda.datasets.layouts import LAYOUTS
from poseda.datasets.proportions import misfit

SIZE = (1920, 1080)


def write(path: Path, pose: np.ndarray, confidence: np.ndarray | None = None) -> Path:
    """COCO results of one person."""
    seen = np.ones(pose.shape[:2]) if confidence is None else confidence
    rows = [
        {"image_id": at, "keypoints": np.c_[points, weight].ravel().tolist(), "score": 1.0}
        for at, (points, weight) in enumerate(zip(pose, seen, strict=True))
    ]
    path.write_text(json.dumps(rows))
    return path


def test_normalised_coordinates_are_refused_also_with_unseen_joints_at_zero(tmp_path: Path) -> None:
    pose, confidence = walk(30, (900, 500)) / SIZE, np.ones((30, 17))
    with pytest.raises(
        DataError, match=r"expected pixels, found normalised coordinates .*; multiply x by the width"
    ):
        read_detections(write(tmp_path / "a.json", pose), SIZE)
    pose[:, 9:], confidence[:, 9:] = 0, 0
    with pytest.raises(DataError, match="normalised"):
        read_detections(write(tmp_path / "a.json", pose, confidence), SIZE)


def test_unseen_joints_far_away_do_not_hide_normalised_ones(tmp_path: Path) -> None:
    pose, confidence = walk(30, (900, 500)) / SIZE, np.ones((30, 17))
    pose[:, 9:], confidence[:, 9:] = 5000, 0
    with pytest.raises(DataError, match="normalised"):
        read_detections(write(tmp_path / "a.json", pose, confidence), SIZE)


def test_world_coordinates_are_refused_in_metres_and_multiplied_by_a_picture(tmp_path: Path) -> None:
    pose = np.stack([body(seed=at) for at in range(30)])
    pose -= pose[:, 11:13].mean(1, keepdims=True)
    for scale in ([1, 1], SIZE):
        with pytest.raises(
            DataError, match="expected pixels, found world coordinates about the middle of the hips"
        ):
            read_detections(write(tmp_path / "a.json", pose * scale), SIZE)


def test_joints_off_the_picture_are_said_from_5_percent_and_refused_from_50(tmp_path: Path) -> None:
    pose = walk(100, (900, 1010), (0, 0))  # the ankles are below the picture
    found = read_detections(write(tmp_path / "a.json", pose), SIZE)
    assert found.reading.warnings == ("12% of the seen joints lie outside the picture",)
    assert off_picture(found) == pytest.approx(2 / 17)
    assert not read_detections(write(tmp_path / "b.json", walk(100, (900, 500)))).reading.warnings
    with pytest.raises(DataError, match=r"found 100% of the seen joints outside 640 x 480; .*--image-size"):
        read_detections(tmp_path / "a.json", (640, 480))


def test_joints_that_are_not_seen_may_be_off_the_picture(tmp_path: Path) -> None:
    pose, confidence = walk(30, (900, 500)), np.ones((30, 17))
    pose[:, 5:], confidence[:, 5:] = -50, 0.1
    found = read_detections(write(tmp_path / "a.json", pose, confidence), SIZE)
    assert off_picture(found) == 0 and not found.reading.warnings


@pytest.mark.parametrize("turn", [0, np.pi / 2, np.pi, 2.5])
@pytest.mark.parametrize("layout", ["coco17", "h36m17", "h36m16", "mpi_inf_3dhp_17", "body_25", "halpe26"])
def test_people_fit_their_layout_also_lying_and_upside_down(layout: str, turn: float) -> None:
    pose = np.stack([body(layout, turn, seed) for seed in range(5)])
    found = misfit(LAYOUTS[layout], pose, np.ones(pose.shape[:2], bool))
    assert found is not None and found.total < 0.8


def test_a_seated_person_fits_without_legs() -> None:
    pose = np.stack([body("body_25", seed=seed) for seed in range(5)])
    seen = np.ones(pose.shape[:2], bool)
    seen[
        :, [at for at, name in enumerate(LAYOUTS["body_25"].joint_names) if "knee" in name or "ankle" in name]
    ] = False
    found = misfit(LAYOUTS["body_25"], pose, seen)
    assert found is not None and found.total < 0.8


def test_joints_in_another_order_are_refused_with_the_layouts_that_fit(tmp_path: Path) -> None:
    pose = walk(30, (900, 500), layout="h36m17")
    with pytest.raises(
        DataError, match=r"expected those of coco17, as there are 17, found a body.*--layout h36m17"
    ):
        read_detections(write(tmp_path / "a.json", pose), SIZE)
    assert not read_detections(tmp_path / "a.json", SIZE, layout="h36m17").reading.warnings


def test_a_layout_that_the_user_names_is_believed_with_a_doubt(tmp_path: Path) -> None:
    pose = walk(30, (900, 500), layout="h36m17")
    np.savez(tmp_path / "a.npz", keypoints=pose, image_size=SIZE)
    found = read_detections(tmp_path / "a.npz", layout="coco17")
    assert found.reading.layout_told_by == "flag"
    (doubt,) = found.reading.warnings
    assert doubt.startswith("the body does not fit layout coco17") and "h36m17 would fit" in doubt
    names = np.array(LAYOUTS["coco17"].joint_names)
    np.savez(tmp_path / "b.npz", keypoints=pose, image_size=SIZE, joint_names=names)
    assert len(read_detections(tmp_path / "b.npz").reading.warnings) == 1


def test_joints_in_no_known_order_are_refused_where_many_show_it(tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(17)
    pose = walk(40, (900, 500))[:, order]
    with pytest.raises(DataError, match=r"expected those of coco17, as there are 17, found .*--joints"):
        read_detections(write(tmp_path / "a.json", pose), SIZE)


def test_a_size_that_contradicts_the_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", keypoints=walk(5, (300, 300)), image_size=(640, 480))
    with pytest.raises(
        DataError, match=r"expected 1280 x 720 as given .*, found 640 x 480; leave out --image-size"
    ):
        read_detections(tmp_path / "a.npz", (1280, 720))
