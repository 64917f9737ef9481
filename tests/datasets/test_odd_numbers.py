"""Numbers that no recording has: frames far apart and confidences that are no numbers are said, and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bodies import walk

from poseda.datasets import Detections2D, read_detections

SIZE = (640, 480)


def people() -> np.ndarray:
    """(30, 17, 3) pixels and confidence."""
    return np.concatenate([walk(30, (200, 250)), np.full((30, 17, 1), 0.9)], -1)


def written(path: Path, points: np.ndarray, frame: np.ndarray) -> Detections2D:
    """The same as JSON of COCO, npz or npy."""
    if path.suffix == ".json":
        rows = zip(frame.tolist(), points.reshape(len(points), -1).tolist(), strict=True)
        path.write_text(json.dumps([{"image_id": at, "keypoints": row} for at, row in rows]))
    elif path.suffix == ".npz":
        np.savez(path, keypoints=points, frame=frame)
    else:
        np.save(path, points)
    return read_detections(path, SIZE)


@pytest.mark.parametrize("ending", [".json", ".npz", ".npy"])
def test_nan_confidences_count_as_unseen_and_are_counted(tmp_path: Path, ending: str) -> None:
    points, frame = people(), np.arange(30)
    clean = written(tmp_path / f"clean{ending}", points, frame)
    points[3, :, 2], points[7, :2, 2] = np.nan, np.nan
    found = written(tmp_path / f"clip{ending}", points, frame)
    assert "joints with a place and NaN for a confidence count as unseen: 19" in found.reading.warnings
    assert (found.confidence[3] == 0).all() and (found.confidence == 0).sum() == 19
    kept = found.confidence > 0
    assert np.array_equal(found.pose_2d[kept], clean.pose_2d[kept]) and not clean.reading.warnings


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_frames_far_apart_are_said(tmp_path: Path, ending: str) -> None:
    found = written(tmp_path / f"clip{ending}", people(), 10**9 * np.arange(30))
    (doubt,) = found.reading.warnings
    assert doubt.startswith("frame numbers are up to 1e+09 apart (clip clip, 29 gaps)")
    assert not written(tmp_path / f"near{ending}", people(), 1000 * np.arange(30)).reading.warnings


def test_pictures_that_are_no_film_are_said(tmp_path: Path) -> None:
    apart = np.arange(30)
    found = written(tmp_path / "pictures.npz", people(), 13 * apart + apart % 2)
    assert found.reading.warnings == (
        "the pictures of 1 person are up to 14 frames apart: "
        "each is lifted by itself, without smoothing or bones of one length",
    )
    assert not written(
        tmp_path / "away.npz", people(), np.where(apart < 10, apart, apart + 1500)
    ).reading.warnings


def test_a_stray_file_among_recordings_is_left_out_and_said(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        written(tmp_path / name, people(), np.arange(30))
    (tmp_path / "package.json").write_text('{"name": "demo", "version": 1}')
    found = read_detections(tmp_path, SIZE)
    assert len(found) == 60 and sorted(found.reading.clip_names.values()) == ["a", "b"]
    (doubt,) = found.reading.warnings
    assert doubt.startswith("1 file left out, which --strict refuses: package.json")
