"""Detections straight from a detector's results, without a file.

The results are taken by their attributes; no detector is imported. Every function takes one frame or all
frames of a recording in order. Pictures without people may be among them, and count as frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D, ToldBy
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import MEDIAPIPE33, Layout


def from_arrays(
    keypoints: Any,
    scores: Any = None,
    image_size: Size | None = None,
    *,
    person: Any = None,
    layout: str | Layout | None = None,
    joint_names: Sequence[str] | None = None,
    rate: float | None = None,
) -> Detections2D:
    """Detections from arrays.

    Args:
        keypoints: (F, J, 2 or 3) pixels [and confidence] of one person in F frames, (F, P, J, 2 or 3) of P
            people, or a list with a (P, J, 2 or 3) array a frame.
        scores: confidences, of the same shape without the last axis.
        image_size: width and height of the pictures, pixels.
        person: (F, P) or a list of P tracks a frame. Default: people are followed from frame to frame.
        layout: of the joints. Default: their number decides it.
        joint_names: J names, in any usual spelling, instead of a layout.
        rate: frames per second.

    Raises:
        DataError: if the arrays have other shapes, or hold no pose.

    Example::

        >>> import numpy as np
        >>> from poseda.datasets import from_arrays
        >>> walk = np.random.default_rng(0).uniform(0, 480, (4, 17, 3))
        >>> len(from_arrays(walk, image_size=(640, 480)))
        4
    """
    frames = list(keypoints)
    alone = bool(frames) and _array(frames[0]).ndim == 2
    found = _Frames("arrays", image_size, layout, joint_names, rate)
    for at, people in enumerate(frames):
        table = _array(people)
        found.add(
            at,
            table[None] if alone else table,
            _of_frame(scores, at, alone),
            None if person is None else _of_frame(person, at, alone),
            alone=alone,
        )
    return found.detections()


def from_rtmlib(
    keypoints: Any,
    scores: Any,
    image_size: Size | None = None,
    *,
    layout: str | Layout | None = None,
    rate: float | None = None,
) -> Detections2D:
    """Detections from what a model of rtmlib returns: ``keypoints, scores = body(picture)``.

    Args:
        keypoints: (P, J, 2) pixels of a frame, or a list of them.
        scores: (P, J), or a list of them.
        image_size: width and height of the pictures, pixels.
        layout: of the joints. Default: their number decides it.
        rate: frames per second.

    Raises:
        DataError: if the arrays have other shapes, or hold no pose.

    Example::

        >>> import numpy as np
        >>> from poseda.datasets import from_rtmlib
        >>> rng = np.random.default_rng(0)
        >>> frames = [(rng.uniform(0, 480, (1, 26, 2)), np.ones((1, 26))) for _ in range(5)]
        >>> from_rtmlib(*zip(*frames), image_size=(640, 480)).layout.name
        'halpe26'
    """
    if isinstance(keypoints, np.ndarray) and keypoints.ndim == 3:
        keypoints, scores = [keypoints], [scores]
    found = _Frames("rtmlib", image_size, layout, None, rate)
    for at, (people, confidence) in enumerate(zip(keypoints, scores, strict=True)):
        found.add(at, _array(people), confidence)
    return found.detections()


def from_ultralytics(
    results: Any, *, layout: str | Layout | None = None, rate: float | None = None
) -> Detections2D:
    """Detections from Ultralytics' ``model(…)`` or ``model.track(…)``, whose tracks are kept.

    Args:
        results: a ``Results`` object, or an iterable of them, such as the generator of ``stream=True``.
        layout: of the joints, for models of other joints than COCO's.
        rate: frames per second.

    Raises:
        DataError: if the results hold no keypoints.

    Example::

        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from poseda.datasets import from_ultralytics
        >>> people = SimpleNamespace(data=np.random.default_rng(0).uniform(1, 480, (2, 17, 3)))
        >>> result = SimpleNamespace(keypoints=people, orig_shape=(480, 640), boxes=None)
        >>> from_ultralytics([result]).image_size[0].tolist()
        [640.0, 480.0]
    """
    found = _Frames("ultralytics", None, layout, None, rate)
    for at, result in enumerate([results] if hasattr(results, "keypoints") else results):
        people = result.keypoints
        if people is None:
            continue
        height, width = result.orig_shape
        boxes = getattr(result, "boxes", None)
        tracks = None if boxes is None or boxes.id is None else _array(boxes.id).astype(np.int64)
        found.add(at, _array(people.data), None, tracks, (float(width), float(height)))
    return found.detections()


def from_mediapipe(results: Any, image_size: Size, *, rate: float | None = None) -> Detections2D:
    """Detections from MediaPipe's pose landmarkers, the solution's and the task's.

    Args:
        results: what ``process`` or ``detect`` returns for a frame, or an iterable of them. Their normalised
            landmarks are read, not their world landmarks.
        image_size: width and height of the pictures, pixels.
        rate: frames per second.

    Raises:
        DataError: if no frame holds a person, or a person has another number of landmarks than 33.

    Example::

        >>> import numpy as np
        >>> from types import SimpleNamespace as Record
        >>> from poseda.datasets import from_mediapipe
        >>> body = [Record(x=x, y=y, z=0, visibility=1) for x, y in np.random.default_rng(0).random((33, 2))]
        >>> from_mediapipe(Record(pose_landmarks=[body]), (640, 480)).layout.name
        'mediapipe33'
    """
    found = _Frames("mediapipe", image_size, MEDIAPIPE33, None, rate, "format")
    width, height = image_size
    for at, result in enumerate([results] if hasattr(results, "pose_landmarks") else results):
        people = result.pose_landmarks
        if not people:
            continue
        people = [people.landmark] if hasattr(people, "landmark") else people
        points = [
            [(p.x * width, p.y * height, _visibility(p)) for p in getattr(person, "landmark", person)]
            for person in people
        ]
        found.add(at, _array(points))
    return found.detections()


def from_mmpose(
    instances: Any,
    image_size: Size | None = None,
    *,
    layout: str | Layout | None = None,
    joint_names: Sequence[str] | None = None,
    rate: float | None = None,
) -> Detections2D:
    """Detections from MMPose: inferencers, ``inference_topdown``, and Sapiens, which writes the same.

    Args:
        instances: a frame or an iterable of frames. A frame is ``InstanceData``, a ``PoseDataSample``, or a
            list of them or of dicts, one for each person. What an inferencer yields, with ``predictions``, is
            taken as it is.
        image_size: width and height of the pictures, pixels, where the samples do not hold it.
        layout: of the joints. Default: their number decides it.
        joint_names: their names instead, such as ``dataset_meta["keypoint_id2name"].values()``.
        rate: frames per second.

    Raises:
        DataError: if no frame holds a person.

    Example::

        >>> import numpy as np
        >>> from poseda.datasets import from_mmpose
        >>> person = {"keypoints": np.random.default_rng(0).uniform(0, 480, (17, 2)).tolist(),
        ...           "keypoint_scores": [0.9] * 17}
        >>> len(from_mmpose({"predictions": [[person]]}, (640, 480)))
        1
    """
    found = _Frames("mmpose", image_size, layout, joint_names, rate)
    for at, frame in enumerate(_mmpose_frames(instances)):
        for part in frame:
            found.add(at, *_mmpose_people(part))
    return found.detections()


class _Frames:
    """Poses of a detector, frame by frame.

    Args:
        source: what they come from, for messages.
        size: of all pictures, or None.
        layout: of the joints, its name, or None.
        names: of the joints, or None.
        rate: frames per second, or None.
        told_by: what tells the layout, if it is not the caller.
    """

    def __init__(
        self,
        source: str,
        size: Size | None,
        layout: str | Layout | None,
        names: Sequence[str] | None,
        rate: float | None,
        told_by: ToldBy = "flag",
    ) -> None:
        self.place = Field(Path(source), "keypoints")
        if size is not None and not (len(size) == 2 and min(size) > 0):
            raise self.place.at("image_size").fail("a positive width and height", size)
        told: ToldBy = "number" if layout is None else told_by
        layout = Layout.named(layout) if isinstance(layout, str) else layout
        if layout is None and names is not None:
            try:
                layout, told = layout_of_names(list(names)), "names"
            except ValueError as error:
                raise self.place.at("joint_names").fail("each joint once", ", ".join(names)[:80]) from error
        self.size, self.rate, self.names = size, rate, names
        self.found = Sightings(Path(source), f"{source} results", layout, told)

    def add(
        self,
        frame: int,
        people: np.ndarray,
        scores: Any = None,
        tracks: Any = None,
        size: tuple[float, float] | None = None,
        alone: bool = False,
    ) -> None:
        """Add the people of a frame: (P, J, 2 or 3), (P, J) and (P,)."""
        place = self.place.at(f"keypoints[{frame}]")
        if people.size == 0:
            return
        if people.ndim != 3 or people.shape[2] not in (2, 3) or people.dtype.kind not in "fiu":
            raise place.fail("numbers of shape (people, joints, 2 or 3)", f"{people.dtype} {people.shape}")
        if self.names is not None and people.shape[1] != len(self.names):
            raise place.fail(f"{len(self.names)} joints as joint_names", people.shape[1])
        confidence = people[..., 2] if people.shape[2] == 3 else np.ones(people.shape[:2])
        if scores is not None:
            confidence = np.atleast_2d(_array(scores))
            if confidence.shape != people.shape[:2]:
                raise place.at(f"scores[{frame}]").fail(f"shape {people.shape[:2]}", confidence.shape)
        ids = [0] if alone and tracks is None else [None] * len(people)
        if tracks is not None:
            ids = _array(tracks).reshape(-1).tolist()
            if len(ids) != len(people):
                raise place.at(f"person[{frame}]").fail(f"{len(people)} tracks", len(ids))
        points = np.concatenate([people[..., :2], confidence[..., None]], -1).astype(np.float64)
        for person, track in zip(points, ids, strict=True):
            self.found.add(person, place, frame, None if track is None else int(track), size=size)

    def detections(self) -> Detections2D:
        """All of them as one table."""
        found = self.found.detections(self.size)
        if self.rate is None:
            return found
        return replace(found, reading=replace(found.reading, rate=self.rate, rate_told_by="flag"))


def _array(value: Any) -> np.ndarray:
    """A numpy array from an array or a tensor on any device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _of_frame(values: Any, frame: int, alone: bool) -> Any:
    """What belongs to a frame, as for people even if there is one."""
    if values is None:
        return None
    return _array(values[frame])[None] if alone else values[frame]


def _visibility(landmark: Any) -> float:
    """Tasks give None where the model does not tell."""
    value = getattr(landmark, "visibility", None)
    return 1.0 if value is None else float(value)


def _mmpose_frames(instances: Any) -> Iterable[list[Any]]:
    """The parts of each frame: samples, or dicts of a person."""
    if isinstance(instances, Mapping) and "predictions" in instances:
        yield from (_parts(frame) for frame in instances["predictions"])
    elif _is_part(instances):
        yield [instances]
    else:
        frames = list(instances)
        if frames and all(_is_person(frame) for frame in frames):
            yield frames
            return
        for frame in frames:
            if isinstance(frame, Mapping) and "predictions" in frame:
                yield from _mmpose_frames(frame)
            else:
                yield _parts(frame)


def _parts(frame: Any) -> list[Any]:
    if isinstance(frame, Mapping) and "instances" in frame:
        return list(frame["instances"])
    return [frame] if _is_part(frame) else list(frame)


def _is_part(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "keypoints" in value
    return hasattr(value, "pred_instances") or hasattr(value, "keypoints")


def _is_person(value: Any) -> bool:
    """A dict with the joints of one person."""
    return isinstance(value, Mapping) and "keypoints" in value and _array(value["keypoints"]).ndim == 2


def _mmpose_people(part: Any) -> tuple[np.ndarray, Any, Any, tuple[float, float] | None]:
    """(P, J, 2) pixels, (P, J) scores, (P,) tracks and the picture's size, as far as a part has them."""
    shape = getattr(part, "metainfo", {}).get("ori_shape")
    people = getattr(part, "pred_instances", part)
    entry = people.get if isinstance(people, Mapping) else lambda name: getattr(people, name, None)
    keypoints, scores = _array(entry("keypoints")), entry("keypoint_scores")
    tracks = next((ids for name in ("track_ids", "track_id") if (ids := entry(name)) is not None), None)
    if tracks is None:
        tracks = getattr(part, "track_id", None)
    if keypoints.ndim == 2:
        keypoints = keypoints[None]
    size = None if shape is None else (float(shape[1]), float(shape[0]))
    return keypoints, scores, tracks, size
