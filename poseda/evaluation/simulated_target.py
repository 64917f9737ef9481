"""Targets whose errors are known: poses as the target's own cameras and detector would show them.

Each frame of a simulated target takes the place of a frame of the target. It has that frame's lens, the
upward direction of its camera, the place and size of its person, and its unseen joints. The posture is that
of a source pose that no lifter learned from, changed at random to a degree. Such a target lacks the target's
own postures. Or it is what a lifter found in a frame of the target, seen from another side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from poseda import ops
from poseda.config import DetectorConfig, ViewsConfig
from poseda.datasets import LabelledPoses, UnlabelledPoses
from poseda.datasets.upright import find_up
from poseda.geometry.kinematics import root_relative
from poseda.geometry.placements import measure_seen
from poseda.geometry.skeleton import Skeleton
from poseda.method.detector import Detector
from poseda.method.draws import Draws
from poseda.method.views import NEAR, draw_views, unchanged, view_columns

CLIPS = 4
"""Source clips that a simulated target shows: a scene has few people and movements."""

BENT = (0.0, 0.6)
"""Range of the largest standard deviation of bone rotations, radians per axis: one for each target."""

FOUND_BENT = (0.0, 0.05)
"""The same for postures that were found in the target itself, and count as they are."""


@dataclass(frozen=True)
class Postures:
    """Poses that simulated targets show.

    Args:
        pose_3d: (N, J, 3) metres.
        up: (N, 3) upward unit vectors, in their axes.
        clip: (N,) numbers of clips.
        clips: how many of these clips a target shows.
        bent: range of the standard deviation of bone rotations, radians per axis.
        views: how people's proportions vary.
    """

    pose_3d: Tensor
    up: Tensor
    clip: Tensor
    clips: int
    bent: tuple[float, float]
    views: ViewsConfig

    @classmethod
    def of_source(cls, source: LabelledPoses, skeleton: Skeleton, views: ViewsConfig) -> Postures:
        """Labelled poses that no lifter learned from, of people as a run draws them."""
        return cls(source.pose_3d, find_up(source, skeleton).up, source.clip, CLIPS, BENT, views)

    @classmethod
    def found(cls, pose_3d: Tensor, up: Tensor, views: ViewsConfig) -> Postures:
        """What a lifter found in the target, of people as they are."""
        return cls(pose_3d, up, torch.zeros(len(up), dtype=torch.int64), 1, FOUND_BENT, unchanged(views))


@dataclass(frozen=True)
class SimulatedTarget:
    """A target with its truth.

    Args:
        poses: what a detector shows of it.
        truth: (N, J, 3) metres, relative to the root.
    """

    poses: UnlabelledPoses
    truth: Tensor


def placed_rows(target: UnlabelledPoses, skeleton: Skeleton) -> Tensor:
    """Rows (M,) of a target that tell something: a person can be placed, and enough joints are seen.

    A person can be placed where the root is seen, and a box is spanned.
    """
    seen = target.pose_2d.isfinite().all(-1)
    if target.visible is not None:
        seen = seen & target.visible
    placed = measure_seen(target.pose_2d, seen, skeleton.parents.index(-1))[1]
    return (placed & target.liftable).nonzero()[:, 0]


class Simulator:
    """Draws simulated targets.

    Args:
        postures: that people have.
        target: rows of the target, every one placed (:func:`placed_rows`).
        up: (N, 3) upward in camera axes of each row; NaN keeps the tilt of the postures.
        skeleton: of the poses.
        detector: the noise of a usual detector.
    """

    def __init__(
        self,
        postures: Postures,
        target: UnlabelledPoses,
        up: Tensor,
        skeleton: Skeleton,
        detector: DetectorConfig,
    ) -> None:
        self.postures, self.target, self.up, self.skeleton = postures, target, up, skeleton
        self.detector = detector
        self._seen = torch.ones(target.pose_2d.shape[:2], dtype=torch.bool)
        if target.visible is not None:
            self._seen = target.visible
        self._placement, _ = measure_seen(target.pose_2d, self._seen, skeleton.parents.index(-1))

    def showing(self, postures: Postures) -> Simulator:
        """The same cameras and detector before other postures."""
        return Simulator(postures, self.target, self.up, self.skeleton, self.detector)

    def draw(self, noise: float, rng: torch.Generator) -> SimulatedTarget:
        """Draw a target with a share of the usual detector's errors; invalid views are left out.

        Args:
            noise: 1 for the usual detector's errors, 0 for none.
            rng: of the draw.
        """
        rows = self._some_rows(rng)
        up = self.postures.up[rows]
        seen_up = self.up.where(self.up.isfinite().all(1, keepdim=True), up)
        low, high = self.postures.bent
        bent = low + (high - low) * float(torch.rand((), generator=rng))
        views, detector = replace(self.postures.views, turn=bent), self._worse(noise)
        columns = view_columns(self.skeleton, views) | detector.columns(1)
        drawn = Draws(columns)(len(rows), rng)
        pose = self.postures.pose_3d[rows]
        view = draw_views(pose, up, self.skeleton, views, drawn, seen_up=seen_up)
        shown = ops.augment(
            pose,
            skeleton=self.skeleton,
            camera=self.target.camera,
            body_rotation=view.body_rotation,
            bone_rotation=view.bone_rotation,
            bone_scale=view.bone_scale,
            placement=self._placement,
            joint_mask=self._seen,
            min_depth=NEAR,
        )
        screen = detector.disturb(shown.pose_2d[:, None], drawn)[:, 0]
        poses = replace(self.target, pose_2d=screen.masked_fill(~self._seen[..., None], 0.0))
        valid = (shown.valid & screen.isfinite().all(2).all(1)).nonzero()[:, 0]
        return SimulatedTarget(poses.rows(valid), root_relative(shown.pose_3d)[valid])

    def _worse(self, noise: float) -> Detector:
        """A detector with a share of the usual one's errors."""
        rates, share = self.detector, min(noise, 1.0)
        return Detector(
            self.skeleton,
            replace(
                rates,
                noise=noise * rates.noise,
                misplaced=share * rates.misplaced,
                swapped=share * rates.swapped,
                cropped=0.0,  # the target's own joints are hidden
            ),
        )

    def _some_rows(self, rng: torch.Generator) -> Tensor:
        """Rows of a few clips of the postures, as many as the target has."""
        clips = self.postures.clip.unique()
        some = clips[torch.randperm(len(clips), generator=rng)[: self.postures.clips]]
        rows = torch.isin(self.postures.clip, some).nonzero()[:, 0]
        return rows[torch.randint(len(rows), (len(self.target),), generator=rng)]
