"""Real clips with the truth put in: upward, and where detected joints are in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from benchmarks.real.clips import FEWEST, LIMBS, View, layout_of, views
from benchmarks.real.score import CONFIDENCE, HIPS, about_hips, lift_view
from benchmarks.substitutions.truths import Lift, Scene
from poseda.datasets.screen import on_screen
from poseda.geometry.camera import denormalize_screen, project
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.observation import Observation

FEWEST_FRAMES = 5
"""Fewest frames of a view that is scored."""


class ClipFile(Scene):
    """One person before the cameras of a file. Offsets are learned on the first half, and errors are of the
    second.

    ``limbs`` lifts the twelve joints alone, where they were detected, as ``clean`` does at their true places.
    ``complete`` shows all twelve. Poses of a frame that shows fewer than eight are not compared.

    Args:
        model: of a wide arm.
        views: of the file.
    """

    replaced: ClassVar = ("gravity", "lengths", "size", "offsets", "limbs", "clean", "complete", "place")
    together: ClassVar = frozenset({"gravity", "clean", "lengths", "offsets", "place"})
    told: ClassVar = frozenset({"gravity", "limbs", "clean", "complete"})

    def __init__(self, model: AdaptedLifter, views: Sequence[View]) -> None:
        super().__init__()
        self.model, self.views = model, views

    @classmethod
    def read(cls, model: AdaptedLifter, path: Path) -> ClipFile:
        """The views of a file.

        Raises:
            DataError: if it holds no clip.
        """
        return cls(model, list(views(path)))

    def lift(self, given: frozenset[str], learning: bool) -> dict[str, Lift]:
        """Lifts by view, of the halves with enough frames to compare."""
        halves = [view.half(second=not learning) for view in self.views]
        lifts = {view.name: self._lifted(view, given) for view in halves}
        return {name: lift for name, lift in lifts.items() if lift is not None}

    def _lifted(self, view: View, given: frozenset[str]) -> Lift | None:
        true, (place, known) = _projected(view), _seen(view)
        rows = (known.sum(1) >= FEWEST) & np.isfinite(view.truth[:, HIPS]).all((1, 2))
        if rows.sum() < FEWEST_FRAMES:
            return None
        if "complete" in given:
            view = with_limbs(view, true, np.isfinite(true).all(-1))
        elif "clean" in given:
            view = with_limbs(view, true, known)
        elif "limbs" in given:
            view = with_limbs(view, place, known)
        way = "given" if "gravity" in given else "found"
        poses, _, lifted = lift_view(self.model, view, way, torch.from_numpy(view.up).float())
        at, limbs = lifted[rows], [self.model.skeleton.joint(joint) for joint in LIMBS]
        assert poses.pose_2d is not None and poses.valid[at].all()
        screen = torch.from_numpy(poses.pose_2d[at][:, limbs])
        return Lift(
            LIMBS,
            tuple(HIPS),
            about_hips(poses.pose_3d[at][:, limbs].astype(np.float64)),
            view.truth[rows],
            Observation.of(screen, view.intrinsics.camera, None, 0).rays[:, 0].double().numpy(),
            poses.visible[at][:, limbs],
            np.zeros(int(rows.sum()), np.int64),
        )


def _seen(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Detected places (F, 12, 2) of the limbs, pixels, and which of them (F, 12) also have 3D."""
    screen = on_screen(view.detections, H36M16, intrinsics=view.intrinsics, min_confidence=CONFIDENCE)
    limbs = [H36M16.joint(joint) for joint in LIMBS]
    shown = np.ones(screen.pose_2d.shape[:2], bool) if screen.shown is None else screen.shown.numpy()
    place = denormalize_screen(screen.pose_2d[:, limbs].double(), *view.intrinsics.size).numpy()
    return place, shown[:, limbs] & np.isfinite(_projected(view)).all(-1)


def _projected(view: View) -> np.ndarray:
    """Where the camera shows the true limbs: (F, 12, 2) pixels, NaN where unknown."""
    screen = project(torch.from_numpy(view.truth), view.intrinsics.camera.to(torch.float64))
    return np.asarray(denormalize_screen(screen, *view.intrinsics.size).numpy())


def with_limbs(view: View, place: np.ndarray, seen: np.ndarray) -> View:
    """A view in which these limbs alone were detected, at (F, 12, 2) pixels, with full confidence.

    The top of the head, without which no pose is made, is there and unseen.
    """
    points = np.pad(
        np.where(seen[..., None], place, np.nan), ((0, 0), (0, 1), (0, 0)), constant_values=np.nan
    )
    detections = replace(
        view.detections,
        pose_2d=points,
        confidence=np.isfinite(points).all(-1).astype(np.float64),
        layout=layout_of((*LIMBS, "head_top")),
    )
    return replace(view, detections=detections)
