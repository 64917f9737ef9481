"""Detectors of other packages: what is asked of them, what comes back, and what is said without them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bodies import body

from poseda.config import ConfigError
from poseda.datasets.layouts import HALPE26, MEDIAPIPE33
from poseda.video.detectors import open_detector
from poseda.video.extras import MissingExtra
from poseda.video.lines import CameraLines, largest

PICTURE = np.zeros((480, 640, 3), np.uint8)
PICTURE[..., 0] = 200  # red


def module(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A stand-in for a package."""
    made = ModuleType(name)
    vars(made).update(content)
    monkeypatch.setitem(sys.modules, name, made)


def test_rtmpose_gets_pictures_in_opencvs_order_and_gives_people(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[np.ndarray] = []
    people = np.stack([body("halpe26") * 90 + 200, body("halpe26") * 50 + 300])
    boxes = [np.array([[0, 0, 9, 9], [5, 5, 9, 9]]), np.array([])]

    class BodyWithFeet:
        def __init__(self, **options: str) -> None:
            assert options["backend"] == "onnxruntime"

        def det_model(self, picture: np.ndarray) -> np.ndarray:
            given.append(picture)
            return boxes.pop(0)

        def pose_model(self, picture: np.ndarray, bboxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert len(bboxes) == 2, "without boxes it takes the picture for one"
            return people, np.full((2, 26), 1.4)  # its scores may exceed 1

    module(monkeypatch, "rtmlib", BodyWithFeet=BodyWithFeet)
    with open_detector("rtmpose") as detector:
        found, nobody = detector(PICTURE), detector(PICTURE)
    assert detector.layout == HALPE26 and found.shape == (2, 26, 3) and nobody.shape == (0, 26, 3)
    assert np.array_equal(found[..., :2], people) and (found[..., 2] == 1).all()
    assert given[0][0, 0].tolist() == [0, 0, 200]


def test_blazepose_gives_pixels_and_visibility(monkeypatch: pytest.MonkeyPatch) -> None:
    points = body("mediapipe33") * 90 + 200
    marks = [SimpleNamespace(x=x / 640, y=y / 480, visibility=0.75) for x, y in points]
    answers = [
        SimpleNamespace(pose_landmarks=None),
        SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=marks)),
    ]
    closed: list[bool] = []
    pose = SimpleNamespace(process=lambda picture: answers.pop(0), close=lambda: closed.append(True))
    solutions = SimpleNamespace(pose=SimpleNamespace(Pose=lambda **options: pose))
    module(monkeypatch, "mediapipe", __version__="0.10.21", solutions=solutions)
    with open_detector("mediapipe") as detector:
        assert detector(PICTURE).shape == (0, 33, 3)
        found = detector(PICTURE)
    assert detector.layout == MEDIAPIPE33 and np.abs(found[0, :, :2] - points).max() < 1e-9
    assert (found[0, :, 2] == 0.75).all() and closed == [True]


def test_a_mediapipe_without_a_model_says_which_options_help(monkeypatch: pytest.MonkeyPatch) -> None:
    module(monkeypatch, "mediapipe", __version__="1.2.3")
    with pytest.raises(ConfigError) as caught:
        open_detector("mediapipe")
    assert str(caught.value).startswith("video_model: expected a pose landmarker (.task) for MediaPipe 1.2.3")
    with pytest.raises(ConfigError, match=r"whose weights rtmlib fetches"):
        open_detector("rtmpose", Path("model.task"))


@pytest.mark.parametrize(("name", "package", "extra"), [
    ("mediapipe", "mediapipe", "video"), ("rtmpose", "rtmlib", "rtmpose"),
])  # fmt: skip
def test_a_missing_package_is_one_sentence_with_its_command(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as caught:
        open_detector(name)
    assert f"expected the package {package} for --video-detector {name}" in str(caught.value)
    assert f"pip install 'poseda[{extra}]'" in str(caught.value)


NOISY = """
import os, sys, threading
from types import SimpleNamespace
import numpy as np

def noise(word):
    os.write(2, f"W0000 {word}\\n".encode())

class Pose:
    def __init__(self, **options):
        noise("made")
    def process(self, picture):
        noise("asked")
        other = threading.Thread(target=noise, args=("from a thread",))
        other.start()
        other.join()
        if picture.sum() > 0:
            raise ValueError("too bright")
        return SimpleNamespace(pose_landmarks=None)
    def close(self):
        noise("closed")

module = SimpleNamespace(__version__="0", solutions=SimpleNamespace(pose=SimpleNamespace(Pose=Pose)))
sys.modules["mediapipe"] = module
from poseda.video import open_detector
for _ in range(2):
    with open_detector("mediapipe") as detector:
        noise("between")
        print("ours", file=sys.stderr)
        detector(np.full((2, 2, 3), int(sys.argv[1]), np.uint8))
    os.write(2, b"after\\n")
    print("ours again", file=sys.stderr, flush=True)
"""


def test_what_a_detector_says_on_stderr_shows_only_if_it_fails() -> None:
    def run(brightness: int) -> str:
        line = [sys.executable, "-c", NOISY, str(brightness)]
        return subprocess.run(line, capture_output=True, text=True).stderr

    assert run(0) == "ours\nafter\nours again\n" * 2
    failed = run(1)
    assert failed.startswith("ours\n") and "ValueError: too bright" in failed
    for word in ("made", "between", "asked", "from a thread", "closed"):
        assert failed.count(f"W0000 {word}\n") == 1


def test_a_camera_gives_a_line_for_the_largest_person() -> None:
    near, far = (np.concatenate([body() * size + 200, np.ones((17, 1))], 1) for size in (90, 50))
    assert np.array_equal(largest(np.stack([far, near])), near)
    answers = [np.stack([far, near]), np.zeros((0, 17, 3)), far[None], far[None]]

    def detector(picture: np.ndarray) -> np.ndarray:
        return answers.pop(0)

    shots = [(None, PICTURE)] * 4
    lines = CameraLines(shots, detector, 30)  # type: ignore[arg-type]
    assert lines.image_size == (640, 480)
    first, second = lines.readline(), lines.readline(100)
    assert b'"frame": 0' in first and b'"frame": 2' in second
    assert b'"frame": 3' in lines.readline() and lines.readline() == b""


def test_pictures_of_a_camera_are_numbered_by_their_times() -> None:
    person = np.concatenate([body() * 90 + 200, np.ones((17, 1))], 1)[None]
    # At 15 frames a second, of which one is dropped, and one has no time.
    shots = [(5.0, PICTURE), (5.07, PICTURE), (5.2, PICTURE), (None, PICTURE), (5.33, PICTURE)]
    lines = CameraLines(shots, lambda picture: person, 15)  # type: ignore[arg-type]
    assert [json.loads(lines.readline())["frame"] for _ in shots] == [0, 1, 3, 4, 5]
