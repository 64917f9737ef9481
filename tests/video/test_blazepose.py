"""MediaPipe itself on a video of a person, where it is installed with a model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("mediapipe") is None or find_spec("av") is None:
    pytest.skip("needs MediaPipe, which pip install 'poseda[video]' brings", allow_module_level=True)
import mediapipe

if not hasattr(mediapipe, "solutions"):
    pytest.skip("the wheel of this MediaPipe carries no model", allow_module_level=True)

from matplotlib import cbook
from PIL import Image
from videos import write_video

from poseda.datasets import read_detections
from poseda.video import detect_all, open_detector

PACE = 6
"""Pixels that the person moves in a frame."""


def test_a_person_is_found_and_followed(tmp_path: Path) -> None:
    """Grace Hopper, a photograph of the US Navy in the public domain, which matplotlib ships."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        person = np.asarray(Image.open(file).convert("RGB").resize((360, 420)))
    pictures = []
    for at in range(10):
        content = np.full((480, 640, 3), 90, np.uint8)
        content[60:, 100 + PACE * at : 460 + PACE * at] = person
        pictures.append(content)
    path = write_video(tmp_path / "hopper.mp4", pictures)
    kept = detect_all(path, [tmp_path / "kept"], lambda: open_detector("mediapipe"), "mediapipe")
    found = read_detections(kept)
    assert len(found) == 10 and set(found.person.tolist()) == {0}
    names = found.layout.joint_names
    left, right, nose = (
        found.pose_2d[:, names.index(n)] for n in ("left_shoulder", "right_shoulder", "nose")
    )
    assert (left[:, 0] - right[:, 0] > 100).all() and (nose[:, 1] < left[:, 1]).all()
    assert abs(np.diff(nose[:, 0]).mean() - PACE) < 1.5
    assert (found.confidence[:, names.index("left_shoulder")] > 0.9).all()
