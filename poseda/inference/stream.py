"""One pose in, one pose out, a JSON object a line: what ``poseda lift --input -`` does."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from poseda.datasets.checks import NORMALISED, conversion_of, usable
from poseda.datasets.conversion import why_too_few
from poseda.datasets.detections import Detections2D
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.keypoint_json import read_keypoint_json
from poseda.datasets.formats.nearest import unknown_json
from poseda.datasets.formats.sightings import Sightings, there
from poseda.datasets.joint_map import JointMap
from poseda.datasets.layouts import Layout
from poseda.datasets.records import DataError
from poseda.datasets.screen import Intrinsics, on_screen
from poseda.datasets.timeline import FEWEST_SEEN
from poseda.datasets.tracking import UNTRACKED, counted
from poseda.export.tables import pose_object, seen_object
from poseda.geometry.camera import Camera
from poseda.inference.kalman import PersonFilter
from poseda.inference.line_fields import (
    STDIN,
    USED,
    frame_of,
    has_confidences,
    person_of,
    refuse_empty,
)
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.smoothing import OneEuro
from poseda.inference.trajectory import root_position
from poseda.inference.wide import lift_line

MAX_PERSONS = 256
"""Persons of whom the past is kept; the one unseen for longest is forgotten first."""

MOST_NAMED = 20
"""Most fields that one notice names."""

MOST_UNSEEN = 3
"""Most unseen joints that a reason names."""


@dataclass
class _Past:
    """The past of a person.

    Args:
        pose_2d: (J, 2) where each joint was last seen, screen coordinates.
        age: (J,) for how many frames each joint is unseen.
        steadied: Kalman's filter, where it was asked for.
        frame: of the latest line, or None before the first.
        filters: by the name of what they filter.
        window: the latest poses without a gap, at most as many as the lifter sees.
    """

    pose_2d: np.ndarray
    age: np.ndarray
    steadied: PersonFilter | None = None
    frame: int | None = None
    filters: dict[str, OneEuro] = field(default_factory=dict)
    window: deque[np.ndarray] = field(default_factory=deque)


class _Sighted(NamedTuple):
    """A person on the screen.

    Args:
        pose: (J, 2) screen coordinates of the model.
        seen: (J,) bool.
        detected: (J_s,) bool, the detector's joints that are seen.
        camera: of this line.
        made_up: joints that the detector lacks.
    """

    pose: np.ndarray
    seen: np.ndarray
    detected: np.ndarray
    camera: Camera
    made_up: Collection[str]


class _Lifted(NamedTuple):
    """A lifted pose (J, 3), its root (3,), NaN where unknown, or None, and expected errors (J,) or None."""

    pose_3d: np.ndarray
    root: np.ndarray | None
    error: np.ndarray | None


class LineLifter:
    """Lifts poses one by one, each from itself and earlier ones.

    Args:
        model: a lifter of single or past frames; before the first pose, the person is assumed to stand still.
        intrinsics: of the camera, with the picture's size.
        fov: degrees, where there are no intrinsics; None assumes what recordings assume.
        image_size: width and height in pixels, where there are no intrinsics.
        layout: of the joints, or None: their names or their number decide it.
        joints: the user's names of joints.
        options: gaps, root, filter. Kalman's takes numbers of frames for times and bridges gaps by motion.
        notice: gets a sentence, once, about fields that are not used, people who are not told apart, and
            joints that are made up.

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
        joints: JointMap | None = None,
        options: LiftOptions | None = None,
        notice: Callable[[str], None] = lambda _: None,
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
        self.joints = joints or JointMap()
        self.layout, self.options = layout or self.joints.layout(), options or LiftOptions()
        self.notice, self._named, self._twins = notice, set[str](), False
        self._layouts = set[str]()
        self._frame: int | None = None
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
            line: {"keypoints": [[x, y, confidence], …]} in pixels, or the joints in another form that files
                of detections have, with "keypoint_scores" or "score", "person" or "track_id", and "frame".
            number: of the line, from 1; names it in errors, and the frame where the line does not.
        """
        try:
            return self._lifted(line, number)
        except DataError as error:
            place, sentence = f"line {number}", str(error)
            return {
                "line": number,
                "error": sentence if place in sentence else f"{STDIN}: {place}: {sentence}",
            }

    def _lifted(self, line: bytes, number: int) -> dict[str, Any]:
        place = Field(STDIN, f"line {number}")
        try:
            content = place.holding(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise place.fail("a JSON object", f"other text ({error})") from error
        found = self._people(content)
        person, frame = person_of(content, found), frame_of(content, number)
        self._notice_fields(content)
        self._notice_twins(frame, "person" in content or found.rows[0][1] != UNTRACKED)
        sight = self._on_screen(found)
        past = self._remembered(person)
        past.age = np.where(sight.seen, 0, past.age + 1)
        past.pose_2d = np.where(sight.seen[:, None], sight.pose, past.pose_2d)
        lifted = self._lifted_wide(sight) if self.model.wide else self._lifted_plain(past, sight)
        key, frames = {"frame": frame, "person": person}, 1 if past.frame is None else frame - past.frame
        past.frame = frame
        if self.options.smooth.filter == "kalman":
            return key | self._steadied(past, lifted, sight, frames)
        return key | self._filtered(past, lifted, max(frames, 1))

    def _people(self, content: Field) -> Sightings:
        """The person of a line, in any of the forms that files of detections have.

        Raises:
            DataError: if the line holds none, several, or joints of an unknown layout.
        """
        content.record()
        found = read_keypoint_json(content, self.layout, self.image_size)
        if found is None or not found.points:
            refuse_empty(content)
        if found is None:
            raise content.fail("an object with keypoints", unknown_json(content.value))
        if len(found.points) != 1 or found.layout is None:
            raise content.fail("the joints of one person", f"{len(found.points)} people")
        if self.joints.pairs:
            found.layout = self.joints.renamed(found.layout, STDIN)
        points = found.points[0]
        if "score" in content and not has_confidences(content):
            points[:, 2] = np.clip(content["score"].number(), 0, 1)
        seen = there(points) & (points[:, 2] > 0)
        if seen.any() and np.abs(points[seen, :2]).max() <= NORMALISED:
            raise content.at("keypoints").fail("pixels", "normalised coordinates")
        return found

    def _on_screen(self, found: Sightings) -> _Sighted:
        """The joints of the model, of which the detector sees some."""
        assert found.layout is not None
        points, zero, size = found.points[0][None], np.zeros(1, np.int64), self.image_size
        placed = there(points)
        detections = Detections2D(
            pose_2d=np.where(placed[..., None], points[..., :2], np.nan),
            confidence=np.where(placed, points[..., 2], 0.0),
            frame=zero,
            person=zero,
            clip=zero,
            layout=found.layout,
            image_size=None if size is None else np.array([size], np.float64),
            format="JSON lines",
            path=STDIN,
        )
        poses = on_screen(
            detections,
            self.model.skeleton,
            intrinsics=self.intrinsics,
            fov=self.fov,
            min_confidence=self.options.min_confidence,
        )
        pose = poses.pose_2d[0].numpy()
        visible = poses.shown if self.model.wide else poses.visible
        seen = np.ones(len(pose), bool) if visible is None else visible[0].numpy()
        made_up = conversion_of(detections, self.model.skeleton).made_up
        self._notice_made_up(found.layout.name, made_up)
        detected = usable(detections, self.options.min_confidence)[0]
        return _Sighted(pose, seen, detected, poses.camera, made_up)

    def _notice_fields(self, content: Field) -> None:
        """Name fields that are not used, each once."""
        unused = [str(name) for name in content.record() if name not in USED and name not in self._named]
        if unused:
            self._named.update(unused)
            shown = ", ".join(name[:40] for name in unused[:MOST_NAMED])
            self.notice(f"{content.where}: fields that are not used: {shown}")

    def _notice_made_up(self, layout: str, made_up: Collection[str]) -> None:
        """Name the joints that lines of a layout lack, once for each layout."""
        if made_up and layout not in self._layouts:
            self.notice(f"made up in all frames, as {layout} lacks them: {', '.join(made_up)}")
        self._layouts.add(layout)

    def _notice_twins(self, frame: int, told_apart: bool) -> None:
        """Say once that two people of a frame come without tracks."""
        if not told_apart and frame == self._frame and not self._twins:
            self._twins = True
            self.notice(f"two lines have frame {frame} and no track_id, so they are taken for one person")
        self._frame = frame

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
    def _lifted_plain(self, past: _Past, sight: _Sighted) -> _Lifted | str:
        """The pose and root of a lifter of whole people; why not in a gap, over which no window goes."""
        if reason := self._why_gap(past, sight.seen):
            past.window.clear()
            return reason
        past.window.append(past.pose_2d)
        before = [past.window[0]] * (self.model.frames - len(past.window))
        window, skeleton = torch.from_numpy(np.stack([*before, *past.window])), self.model.skeleton
        lifted, root = self.model.lift_latest(window), None
        if self.options.root != "none":
            root = root_position(lifted, window[-1:], sight.camera, skeleton, self.options.root)[0].numpy()
        return _Lifted(lifted[0].numpy(), root, None)

    def _why_gap(self, past: _Past, seen: np.ndarray) -> str:
        """Why a lifter of whole people cannot lift this line, in words; empty where it can."""
        if seen.mean() < FEWEST_SEEN:
            return f"{seen.sum()} of {len(seen)} joints seen, fewer than half"
        names, most = self.model.skeleton.joint_names, self.options.max_gap
        gone = [names[at] for at in np.flatnonzero(past.age > most)]
        if not gone:
            return ""
        more = f" and {len(gone) - MOST_UNSEEN} more" if len(gone) > MOST_UNSEEN else ""
        before = f" now or in the {counted(most, 'frame')} before (--max-gap)" if most else ""
        return f"not seen{before}: {', '.join(gone[:MOST_UNSEEN])}{more}"

    @torch.inference_mode()
    def _lifted_wide(self, sight: _Sighted) -> _Lifted | str:
        """The pose of a lifter that reads masks: of the joints that are seen now, in one pass; or why not."""
        if reason := why_too_few(sight.detected, sight.seen, self.options.min_joints):
            return reason
        pose_3d, root, error = lift_line(self.model, sight.pose, sight.seen, sight.camera, self.options)
        return _Lifted(pose_3d, root if self.options.root != "none" else None, error)

    def _filtered(self, past: _Past, lifted: _Lifted | str, frames: int) -> dict[str, Any]:
        """The answer with a pose as lifted, or after One-Euro, which no gap passes."""
        if isinstance(lifted, str):
            past.filters.clear()
            return self._gap(lifted)
        pose_3d, root = self._one_euro(past, "pose_3d", lifted.pose_3d, frames), lifted.root
        if root is not None and np.isfinite(root).all():
            root = self._one_euro(past, "root", root, frames)
        else:
            past.filters.pop("root", None)
        return pose_object(pose_3d, root, self.model.skeleton)

    def _gap(self, reason: str) -> dict[str, Any]:
        """The answer to a line whose pose is not lifted."""
        return {**pose_object(None, None, self.model.skeleton), "reason": reason}

    def _one_euro(self, past: _Past, name: str, value: np.ndarray, frames: int) -> np.ndarray:
        if self.options.smooth.filter != "one_euro":
            return value
        if name not in past.filters:
            past.filters[name] = OneEuro(self.options.smooth, self.options.frames_per_second)
        return past.filters[name](value, frames)

    def _steadied(self, past: _Past, lifted: _Lifted | str, sight: _Sighted, frames: int) -> dict[str, Any]:
        """The answer after Kalman's filter, which says which joints are seen and how far off all may be."""
        if past.steadied is None or frames < 1:  # a frame that is not later begins anew
            past.steadied, frames = PersonFilter(self.options.frames_per_second, self.options.max_gap), 1
        skeleton = self.model.skeleton
        if isinstance(lifted, str):
            result = past.steadied(None, frames=frames)
            if result is None:
                return self._gap(lifted)
        else:
            result = past.steadied(lifted.pose_3d, lifted.error, sight.seen, lifted.root, frames)
            assert result is not None  # only motion alone comes to an end
        error = result.error.astype(float).round(4).tolist()
        return {
            **pose_object(result.pose_3d, result.root, skeleton),
            **seen_object(sight.seen, skeleton, sight.made_up),
            "error": dict(zip(skeleton.joint_names, error, strict=True)),
        }
