"""The record that every writer takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from poseda.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class BoneLengths:
    """Lengths of the bones of P people. Their columns are the skeleton's ``group_names``.

    Args:
        clip, person: (P,) int64, as in the poses.
        metres: (P, G) float32.
        error: (P, G) float32 metres, their standard errors, NaN where too few frames tell. What the lifter
            errs alike in all frames is not in them.
        height: (P,) float32 metres, of people of these bones who stand upright; NaN for skeletons that do not
            tell it.
        height_error: (P,) likewise; 0 where the height is given.
        told_by: ``found`` in the recording, or ``stature``, where a given one sets their scale.
    """

    clip: np.ndarray
    person: np.ndarray
    metres: np.ndarray
    error: np.ndarray
    height: np.ndarray
    height_error: np.ndarray
    told_by: str

    def people(self) -> list[tuple[int, int]]:
        """Clip and person of each row."""
        return list(zip(self.clip.tolist(), self.person.tolist(), strict=True))


@dataclass(frozen=True)
class LiftedPoses:
    """F lifted frames, in order of clip, person and frame.

    Args:
        pose_3d: (F, J, 3) float32 metres, root at the origin, axes of the camera (x right, y down, z
            forward); NaN where ``valid`` is false.
        root: (F, 3) float32 metres, camera frame, NaN where unknown; or None where it was not asked for.
        valid: (F,) bool, whether the frame holds a pose.
        visible: (F, J) bool, the joints that were detected; the others of a valid frame were filled in. Those
            of ``made_up`` count as detected where the joints that they are made of were.
        frame, person, clip: (F,) int64, as in the detections.
        skeleton: of the poses.
        rate: frames a second.
        rate_assumed: whether neither the user nor the recording told the rate. False, too, where a file of an
            earlier version does not say it.
        clip_names: number of a clip to the name of its file, video or action, for clips that have one.
        error: (F, J) float32 metres, the distance to the truth within which 68 % of the joints lie, NaN where
            ``valid`` is false; or None where the lifter does not tell it.
        pose_2d: (F, J, 2) float32 screen coordinates of the joints, NaN where unknown; or None. Joints that
            were not detected are where the lifted pose has them.
        image_size: number of a clip to width and height of its pictures, pixels, where known.
        up: number of a clip to the upward direction in the camera's axes, where it was found or given.
        arm: of the lifter, or empty.
        camera: what is known of the camera, in words, or empty.
        lengths: of people's bones, or None where they were not measured.
        made_up: joint that the input lacks altogether to how its 2D is made of others.

    Raises:
        ValueError: if shapes disagree.
    """

    pose_3d: np.ndarray
    root: np.ndarray | None
    valid: np.ndarray
    visible: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    clip: np.ndarray
    skeleton: Skeleton
    rate: float
    clip_names: Mapping[int, str] = field(default_factory=dict)
    error: np.ndarray | None = None
    pose_2d: np.ndarray | None = None
    image_size: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    up: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)
    arm: str = ""
    camera: str = ""
    lengths: BoneLengths | None = None
    made_up: Mapping[str, str] = field(default_factory=dict)
    rate_assumed: bool = False

    def __post_init__(self) -> None:
        frames, joints = len(self), self.skeleton.num_joints
        shapes = {"pose_3d": (frames, joints, 3), "visible": (frames, joints)}
        shapes |= dict.fromkeys(("valid", "frame", "person", "clip"), (frames,))
        if self.root is not None:
            shapes["root"] = (frames, 3)
        if self.error is not None:
            shapes["error"] = (frames, joints)
        if self.pose_2d is not None:
            shapes["pose_2d"] = (frames, joints, 2)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.frame)

    def clip_name(self, clip: int) -> str:
        """The name of a clip; its number where it has none."""
        return self.clip_names.get(clip) or str(clip)

    @property
    def rate_in_words(self) -> str:
        """Frames a second, and that they are assumed where they are."""
        return f"{self.rate:g} frames a second{', assumed' if self.rate_assumed else ''}"

    def _repr_html_(self) -> str:
        """What Jupyter shows: people to play and to turn."""
        from poseda.export.page import notebook_cell

        return notebook_cell(self)

    @property
    def time(self) -> np.ndarray:
        """(F,) seconds since frame 0 of the recording."""
        return np.asarray(self.frame / self.rate, np.float64)

    def tracks(self) -> Iterator[tuple[int, int, slice]]:
        """Clip, person and rows of each person of each clip."""
        key = np.stack([self.clip, self.person], -1)
        begins = np.flatnonzero(np.r_[True, (key[1:] != key[:-1]).any(1)][: len(self)])
        for begin, end in zip(begins, [*begins[1:], len(self)], strict=True):
            yield int(self.clip[begin]), int(self.person[begin]), slice(int(begin), int(end))
