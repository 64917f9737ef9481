"""2D detectors of other packages behind one call: a picture in, the joints of its people out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from poseda.config import ConfigError
from poseda.datasets.errors import DataError
from poseda.datasets.layouts import HALPE26, MEDIAPIPE33, Layout
from poseda.video.extras import MissingExtra, require
from poseda.video.native import NativeStderr

CONFIDENT = 0.5
"""Confidence from which MediaPipe counts a person as found: its own default."""

MOST_PEOPLE = 4
"""People of a picture that a model of --video-model is asked for; the one of the package finds one."""

STEP_MS = 33
"""Milliseconds between two pictures that MediaPipe's tracker is told; it uses their order alone."""


class Detector(Protocol):
    """Finds people in pictures, one after another."""

    name: str
    """With version and model: detections of another name are made anew."""

    layout: Layout
    """Of the joints."""

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(P, J, 3) x, y pixels and confidence of the people in a picture (height, width, 3), RGB uint8."""

    def __enter__(self) -> Detector: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Closing:
    """Closes what an object of another package holds. What the package said shows where it failed."""

    _inner: Any = None
    said: NativeStderr | None = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if hasattr(self._inner, "close"):
                self._inner.close()
        finally:
            if self.said is not None:
                self.said.end(shown=_unexplained(error))


def _unexplained(error: BaseException | None) -> bool:
    """Whether an error needs what the package said: refusals of ours and Ctrl-C do not."""
    return isinstance(error, Exception) and not isinstance(error, ConfigError | DataError | MissingExtra)


class BlazePose(_Closing):
    """MediaPipe's BlazePose with the model that its wheel carries, up to MediaPipe 0.10.21. One person.

    Raises:
        ConfigError: if the installed MediaPipe carries no model.
        MissingExtra: without MediaPipe.
    """

    layout = MEDIAPIPE33

    def __init__(self) -> None:
        mediapipe = require("mediapipe", "video", "--video-detector mediapipe")
        if not hasattr(mediapipe, "solutions"):
            raise ConfigError(
                "video_model",
                f"expected a pose landmarker (.task) for MediaPipe {mediapipe.__version__}, whose wheel "
                f"carries no model, got none; or take <video_detector> rtmpose, or MediaPipe 0.10.21",
                "video_detector",
            )
        self.name = f"mediapipe {mediapipe.__version__} blazepose full"
        self._inner = mediapipe.solutions.pose.Pose(model_complexity=1)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        found = self._inner.process(picture).pose_landmarks
        return _landmarks([] if found is None else [found.landmark], picture)


class PoseLandmarker(_Closing):
    """MediaPipe's pose landmarker with a model of the user's, a ``.task`` file. Several people.

    Args:
        model: the file.

    Raises:
        ConfigError: if MediaPipe cannot read the model.
        MissingExtra: without MediaPipe.
    """

    layout = MEDIAPIPE33

    def __init__(self, model: Path) -> None:
        self._mediapipe = require("mediapipe", "video", "--video-detector mediapipe")
        tasks = require("mediapipe.tasks.python", "video", "--video-model")
        vision = tasks.vision
        options = vision.PoseLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=MOST_PEOPLE,
            min_pose_detection_confidence=CONFIDENT,
        )
        try:
            self._inner = vision.PoseLandmarker.create_from_options(options)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:80]
            wanted = f"expected a pose landmarker of MediaPipe (.task), got {model} ({reason})"
            raise ConfigError("video_model", wanted) from error
        self.name = f"mediapipe {self._mediapipe.__version__} {model.stem}"
        self._at = 0

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=picture)
        found = self._inner.detect_for_video(image, self._at * STEP_MS)
        self._at += 1
        return _landmarks(found.pose_landmarks, picture)


class RTMPose(_Closing):
    """RTMPose of rtmlib with 26 joints, feet among them. Several people.

    rtmlib fetches the weights when it is first used.

    Raises:
        MissingExtra: without rtmlib.
    """

    layout = HALPE26

    def __init__(self) -> None:
        rtmlib = require("rtmlib", "rtmpose", "--video-detector rtmpose")
        self._inner = rtmlib.BodyWithFeet(mode="balanced", backend="onnxruntime", device="cpu")
        self.name = "rtmlib rtmpose halpe26 balanced"

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        image = np.ascontiguousarray(picture[..., ::-1])  # OpenCV's order of colours
        boxes = self._inner.det_model(image)
        if not len(boxes):  # the pose model would take the whole picture for a person
            return np.zeros((0, len(self.layout), 3))
        keypoints, scores = self._inner.pose_model(image, bboxes=boxes)
        points = np.asarray(keypoints, np.float64).reshape(-1, len(self.layout), 2)
        confidence = np.asarray(scores, np.float64).reshape(-1, len(self.layout), 1)
        return np.concatenate([points, np.clip(confidence, 0, 1)], -1)


def _landmarks(people: Any, picture: np.ndarray) -> np.ndarray:
    """(P, 33, 3) pixels and visibility of MediaPipe's normalised landmarks."""
    height, width = picture.shape[:2]
    points = [[(p.x * width, p.y * height, p.visibility or 0.0) for p in person] for person in people]
    return np.asarray(points, np.float64).reshape(len(points), len(MEDIAPIPE33), 3)


def open_detector(name: str, model: Path | None = None) -> Detector:
    """A detector by its name. What its package says on stderr shows only if it fails.

    Close it, or use it in a ``with`` block: until then the descriptor of stderr leads elsewhere.

    Args:
        name: ``mediapipe`` or ``rtmpose``.
        model: a model for MediaPipe. Default: the one in its wheel.

    Raises:
        ConfigError: if there is no model.
        MissingExtra: if the detector's package is missing.
    """
    said = NativeStderr()
    try:
        detector = _made(name, model)
    except BaseException as error:
        said.end(shown=_unexplained(error))
        raise
    detector.said = said
    return detector


def _made(name: str, model: Path | None) -> BlazePose | PoseLandmarker | RTMPose:
    if name == "rtmpose":
        if model is not None:
            wanted = f"expected none with <video_detector> rtmpose, whose weights rtmlib fetches, got {model}"
            raise ConfigError("video_model", wanted, "video_detector")
        return RTMPose()
    return BlazePose() if model is None else PoseLandmarker(model)
