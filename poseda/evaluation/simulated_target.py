"""Targets whose errors are known: source poses as the target's own cameras and detector would show them.

Each frame of a simulated target takes the place of a frame of the target. It has that frame's lens, the
upward direction of its camera, the place and size of its person, and its unseen joints. The posture is that
of a source pose that no lifter learned from, changed at random to a degree. What a simulated target lacks
are the target's own postures.
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
from poseda.method.views import NEAR, draw_views, view_columns

CLIPS = 4
"""Source clips that a simulated target shows: a scene has few people and movements."""

BENT = (0.0, 0.6)
"""Range of the largest standard deviation of bone rotations, radians per axis: one for each target."""


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
    """Rows (M,) of a target where a person can be placed: the root is seen, and a box is spanned."""
    seen = target.pose_2d.isfinite().all(-1)
    if target.visible is not None:
        seen = seen & target.visible
    return measure_seen(target.pose_2d, seen, skeleton.parents.index(-1))[1].nonzero()[:, 0]


class Simulator:
    """Draws simulated targets.

    Args:
        source: labelled poses that no lifter learned from.
        target: rows of the target, every one placed (:func:`placed_rows`).
        up: (N, 3) upward in camera axes of each row; NaN keeps the tilt of the source.
        skeleton: of the poses.
        views: how people's proportions vary.
        detector: the noise of a usual detector.
    """

    def __init__(
        self,
        source: LabelledPoses,
        target: UnlabelledPoses,
        up: Tensor,
        skeleton: Skeleton,
        views: ViewsConfig,
        detector: DetectorConfig,
    ) -> None:
        self.source, self.target, self.up, self.skeleton = source, target, up, skeleton
        self.views, self.detector = views, detector
        self._source_up = find_up(source, skeleton).up
        self._seen = torch.ones(target.pose_2d.shape[:2], dtype=torch.bool)
        if target.visible is not None:
            self._seen = target.visible
        self._placement, _ = measure_seen(target.pose_2d, self._seen, skeleton.parents.index(-1))

    def draw(self, noise: float, rng: torch.Generator) -> SimulatedTarget:
        """Draw a target with a share of the usual detector's errors; invalid views are left out.

        Args:
            noise: 1 for the usual detector's errors, 0 for none.
            rng: of the draw.
        """
        rows = self._some_rows(rng)
        up = self._source_up[rows]
        seen_up = self.up.where(self.up.isfinite().all(1, keepdim=True), up)
        low, high = BENT
        bent = low + (high - low) * float(torch.rand((), generator=rng))
        views, detector = replace(self.views, turn=bent), self._worse(noise)
        columns = view_columns(self.skeleton, views) | detector.columns(1)
        drawn = Draws(columns)(len(rows), rng)
        pose = self.source.pose_3d[rows]
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
            ),
        )

    def _some_rows(self, rng: torch.Generator) -> Tensor:
        """Rows of a few clips of the source, as many as the target has."""
        clips = self.source.clip.unique()
        some = clips[torch.randperm(len(clips), generator=rng)[:CLIPS]]
        rows = torch.isin(self.source.clip, some).nonzero()[:, 0]
        return rows[torch.randint(len(rows), (len(self.target),), generator=rng)]
