"""One pose in, one pose out, a JSON object a line: what ``poseda lift --input -`` does."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO, TextIO

import numpy as np
import torch

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import Layout
from poseda.datasets.records import DataError
from poseda.datasets.screen import Intrinsics, on_screen
from poseda.export.tables import pose_object
from poseda.geometry.camera import Camera
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.smoothing import OneEuro
from poseda.inference.timeline import FEWEST_SEEN
from poseda.inference.trajectory import root_position
from poseda.inference.wide import lift_line

STDIN = Path("stdin")
"""Name of the input in messages."""

MAX_LINE = 1 << 20
"""Longest line read, bytes; the rest of a longer one is passed over."""

MAX_PERSONS = 256
"""Persons of whom the past is kept; the one unseen for longest is forgotten first."""

KEPT_TIMES = 1 << 16
"""Latest answers of which the time is kept for the median."""


@dataclass
class _Past:
    """The past of a person.

    Args:
        pose_2d: (J, 2) where each joint was last seen, screen coordinates.
        age: (J,) for how many frames each joint is unseen.
        filters: by the name of what they filter.
        window: the latest poses without a gap, at most as many as the lifter sees.
    """

    pose_2d: np.ndarray
    age: np.ndarray
    filters: dict[str, OneEuro] = field(default_factory=dict)
    window: deque[np.ndarray] = field(default_factory=deque)


@dataclass
class StreamSummary:
    """How a stream went.

    Args:
        lines: answered, errors among them.
        errors: lines without a readable pose.
        valid: poses lifted.
        seconds: spent between having read lines and having written their answers.
        latest: seconds of each of the latest lines.
    """

    lines: int = 0
    errors: int = 0
    valid: int = 0
    seconds: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))

    @property
    def frames_per_second(self) -> float:
        """Lines answered in a second of work, waiting for input left out."""
        return self.lines / self.seconds if self.seconds > 0 else 0.0

    @property
    def median_milliseconds(self) -> float:
        """From a line read to its answer written."""
        return 1000 * median(self.latest) if self.latest else 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {
            "lines": self.lines,
            "errors": self.errors,
            "valid": self.valid,
            "frames_per_second": round(self.frames_per_second, 1),
            "median_milliseconds": round(self.median_milliseconds, 3),
        }

    def sentence(self) -> str:
        """In words."""
        return (
            f"{self.lines} lines, {self.valid} poses lifted, {self.errors} errors; "
            f"{self.frames_per_second:.0f} frames/s of work, median {self.median_milliseconds:.2f} ms a line"
        )


class LineLifter:
    """Lifts poses one by one, each from itself and earlier ones.

    Args:
        model: a lifter of single or past frames; before the first pose, the person is assumed to stand still.
        intrinsics: of the camera, with the picture's size.
        fov: degrees, where there are no intrinsics; None assumes what recordings assume.
        image_size: width and height in pixels, where there are no intrinsics.
        layout: of the joints, or None: their number decides it.
        options: gaps, root, filter.

    Raises:
        ValueError: if the lifter looks at later frames, or the picture's size is unknown.
    """

    def __init__(
        self,
        model: AdaptedLifter,
        *,
        intrinsics: Intrinsics | None = None,
        fov: float | None = None,
        image_size: tuple[int, int] | None = None,
        layout: Layout | None = None,
        options: LiftOptions | None = None,
    ) -> None:
        if model.frames != 1 and not model.config.network.causal:
            raise ValueError(
                "--model: expected a lifter of single or past frames (adapt --network.causal) for --input -, "
                f"got one of {model.frames} frames that looks at later ones"
            )
        if image_size is None and intrinsics is None:
            raise ValueError("--image-size: expected WIDTHxHEIGHT for --input -, got none")
        self.model, self.intrinsics, self.fov = model, intrinsics, fov
        self.image_size = image_size if intrinsics is None else intrinsics.size
        self.layout, self.options = layout, options or LiftOptions()
        self._past: OrderedDict[object, _Past] = OrderedDict()
        self._warm_up()

    @torch.inference_mode()
    def _warm_up(self) -> None:
        """Spend what the first call costs before the first line comes."""
        camera = Camera.from_field_of_view(60, 1, 1)
        pose_2d = torch.zeros(self.model.frames, self.model.skeleton.num_joints, 2)
        if self.model.wide:
            seen = np.ones(len(pose_2d[0]), bool)
            lift_line(self.model, pose_2d[0].numpy(), seen, camera, self.options)
            return
        lifted = self.model.lift_latest(pose_2d)
        root_position(lifted, pose_2d[-1:], camera, self.model.skeleton, "exact")

    def answer(self, line: bytes, number: int) -> dict[str, Any]:
        """The object to answer a line with; a bad line is answered with an ``error`` that names it.

        Args:
            line: {"keypoints": [[x, y, confidence], …]} in pixels; confidence, "person" and "frame" optional.
            number: of the line, from 1; names it in errors, and the frame where the line does not.
        """
        try:
            return self._lifted(line, number)
        except DataError as error:
            return {"line": number, "error": str(error)}

    def _lifted(self, line: bytes, number: int) -> dict[str, Any]:
        place = Field(STDIN, f"line {number}")
        try:
            content = place.holding(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise place.fail("a JSON object", f"other text ({error})") from error
        person = content.get("person", 0).name()
        frame = content.get("frame", number - 1).whole()
        pose, seen, camera = self._read(content["keypoints"])
        past = self._remembered(person)
        past.age = np.where(seen, 0, past.age + 1)
        past.pose_2d = np.where(seen[:, None], pose, past.pose_2d)
        key = {"frame": frame, "person": person}
        if self.model.wide:
            return key | self._lifted_wide(past, pose, seen, camera)
        if (past.age > self.options.max_gap).any() or seen.mean() < FEWEST_SEEN:
            past.filters.clear()  # neither a filter nor a window goes over a gap
            past.window.clear()
            return key | pose_object(None, None, self.model.skeleton)
        return key | pose_object(*self._placed(past, camera), self.model.skeleton)

    def _read(self, keypoints: Field) -> tuple[np.ndarray, np.ndarray, Camera]:
        """(J, 2) screen coordinates in the model's joints, which are seen (J,), and the camera."""
        points = keypoints.numbers(("N", (2, 3)))
        if points.shape[1] == 2:
            points = np.concatenate([points, np.ones((len(points), 1))], 1)
        found = Sightings(STDIN, "JSON lines", self.layout)
        found.add(points, keypoints, 0)
        poses = on_screen(
            found.detections(self.image_size),
            self.model.skeleton,
            intrinsics=self.intrinsics,
            fov=self.fov,
            min_confidence=self.options.min_confidence,
        )
        pose = poses.pose_2d[0].numpy()
        visible = poses.shown if self.model.wide else poses.visible
        seen = np.ones(len(pose), bool) if visible is None else visible[0].numpy()
        return pose, seen, poses.camera

    def _remembered(self, person: object) -> _Past:
        if person not in self._past:
            joints = self.model.skeleton.num_joints
            never = np.full(joints, self.options.max_gap)
            empty: deque[np.ndarray] = deque(maxlen=self.model.frames)
            self._past[person] = _Past(np.zeros((joints, 2), np.float32), never, window=empty)
            if len(self._past) > MAX_PERSONS:
                self._past.popitem(last=False)
        self._past.move_to_end(person)
        return self._past[person]

    @torch.inference_mode()
    def _placed(self, past: _Past, camera: Camera) -> tuple[np.ndarray, np.ndarray | None]:
        """The filtered pose (J, 3) and root (3,), metres."""
        past.window.append(past.pose_2d)
        before = [past.window[0]] * (self.model.frames - len(past.window))
        window, skeleton = torch.from_numpy(np.stack([*before, *past.window])), self.model.skeleton
        lifted, pose_2d = self.model.lift_latest(window), window[-1:]
        pose_3d, root = self._filtered(past, "pose_3d", lifted[0].numpy()), None
        if self.options.root != "none":
            root = root_position(lifted, pose_2d, camera, skeleton, self.options.root)[0].numpy()
            if np.isfinite(root).all():
                root = self._filtered(past, "root", root)
            else:
                past.filters.pop("root", None)
        return pose_3d, root

    @torch.inference_mode()
    def _lifted_wide(self, past: _Past, pose: np.ndarray, seen: np.ndarray, camera: Camera) -> dict[str, Any]:
        """The pose of a lifter that reads masks: of the joints that are seen now, in one pass."""
        skeleton = self.model.skeleton
        if seen.sum() < self.options.min_joints:
            past.filters.clear()
            return pose_object(None, None, skeleton)
        lifted = lift_line(self.model, pose, seen, camera, self.options)
        pose_3d, root = self._filtered(past, "pose_3d", lifted[0][0]), None
        if self.options.root != "none" and np.isfinite(lifted[1]).all():
            root = self._filtered(past, "root", lifted[1][0])
        return pose_object(pose_3d, root, skeleton)

    def _filtered(self, past: _Past, name: str, value: np.ndarray) -> np.ndarray:
        if self.options.smooth.filter != "one_euro":
            return value
        if name not in past.filters:
            past.filters[name] = OneEuro(self.options.smooth, self.options.rate)
        return past.filters[name](value)


def serve(lifter: LineLifter, source: BinaryIO, sink: TextIO, summary: StreamSummary) -> None:
    """Answer every line of a source, at once and in order; ends with the source.

    Args:
        lifter: answers.
        source: JSON lines; empty lines are passed over.
        sink: gets one line for each, flushed.
        summary: kept up to date.
    """
    number = 0
    while line := source.readline(MAX_LINE + 1):
        began = time.perf_counter()
        number += 1
        if len(line) > MAX_LINE:
            while not line.endswith(b"\n") and (line := source.readline(MAX_LINE)):
                pass
            answer: dict[str, Any] = {
                "line": number,
                "error": f"stdin: line {number}: expected at most {MAX_LINE} bytes, found more",
            }
        elif not line.strip():
            continue
        else:
            answer = lifter.answer(line, number)
        sink.write(json.dumps(answer) + "\n")
        sink.flush()
        summary.lines += 1
        summary.errors += "error" in answer
        summary.valid += bool(answer.get("valid"))
        seconds = time.perf_counter() - began
        summary.seconds += seconds
        summary.latest.append(seconds)
