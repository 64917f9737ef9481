"""The lifter of a run folder, ready to lift as the run itself tests it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from poseda import pretrained
from poseda.config import FEWEST_JOINTS, Arm, LiftConfig, RunConfig, SmoothingConfig
from poseda.datasets.detections import DEFAULT_CONFIDENCE
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import FlipAverage
from poseda.lifters.predict import predict
from poseda.lifters.wide import WideLifter
from poseda.runs import RunFolder
from poseda.runs.verdict import preferred

AXIS_SHARE = 0.57
"""Standard deviation along an axis over the distance within which 68 % of the errors lie, for errors as the
lifter's loss takes them: a Laplace distribution in space."""

GUESSED = 4.0
"""A guess of an unseen joint errs alike for many frames. Where motion knows better, it weighs as if its error
were larger by this."""

BRIDGED = 1.0
"""Seconds between two frames that show a joint over which motion knows better than guesses."""


def axis_error(error: np.ndarray, guessed: np.ndarray) -> np.ndarray:
    """Standard deviation along an axis, as poses weigh over time, of expected errors (F, J) of joints.

    Args:
        error: metres.
        guessed: (F, J) bool, guesses that motion replaces.
    """
    return np.asarray(AXIS_SHARE * error * np.where(guessed, GUESSED, 1.0), np.float32)


def hidden_for_short(seen: np.ndarray, track: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(F, J) bool, unseen joints that a track shows before and after, at most :data:`BRIDGED` apart.

    A joint that is hidden for longer has nothing but its guesses: without their weight it would drift.

    Args:
        seen: (F, J) bool.
        track: (F,) numbers of people; rows of one are in the order of time.
        seconds: (F,).
    """
    short = np.zeros_like(seen)
    for number in np.unique(track):
        rows = np.flatnonzero(track == number)
        there, time = seen[rows], seconds[rows, None]
        before = np.maximum.accumulate(np.where(there, time, -np.inf))
        after = np.minimum.accumulate(np.where(there, time, np.inf)[::-1])[::-1]
        short[rows] = ~there & (after - before <= BRIDGED)
    return short


ASSUMED_RATE = 30.0
"""Frames per second of footage whose rate nobody tells."""


@dataclass(frozen=True)
class LiftOptions:
    """How detections become poses; see the fields of the same names of :class:`LiftConfig`.

    Args:
        rate: frames per second; None where neither the user nor the file tells it.
    """

    min_confidence: float = DEFAULT_CONFIDENCE
    max_gap: int = 5
    min_joints: int = FEWEST_JOINTS
    two_passes: bool = True
    camera_pitch: float | None = None
    camera_roll: float = 0.0
    moving_camera: bool = False
    fit: bool = True
    stature: float | None = None
    root: str = "none"
    smooth: SmoothingConfig = field(default_factory=SmoothingConfig)
    rate: float | None = None

    @property
    def frames_per_second(self) -> float:
        """The rate, or :data:`ASSUMED_RATE` where nobody tells it."""
        return ASSUMED_RATE if self.rate is None else self.rate

    @classmethod
    def of(cls, config: LiftConfig, run: RunConfig, rate: float | None = None) -> LiftOptions:
        """The options of a command, with those of the run where the command has none.

        Args:
            config: of the command.
            run: of the lifter.
            rate: of the file, frames per second, or None.
        """
        confidence = run.min_confidence if config.min_confidence is None else config.min_confidence
        return cls(
            confidence,
            config.max_gap,
            config.min_joints,
            config.two_passes,
            config.camera_pitch,
            config.camera_roll,
            config.moving_camera,
            config.fit,
            config.stature,
            config.root,
            config.smooth,
            config.rate or rate,
        )


@dataclass(frozen=True)
class AdaptedLifter:
    """A trained lifter with its skeleton and the configuration of its run.

    Args:
        lifter: in evaluation mode, on its device.
        skeleton: of its poses.
        config: of the run.
        arm, seed: of the lifter.
    """

    lifter: nn.Module
    skeleton: Skeleton
    config: RunConfig
    arm: str
    seed: int

    @classmethod
    def load(
        cls,
        run: Path | str | None = None,
        arm: Arm | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        lifter: nn.Module | None = None,
    ) -> AdaptedLifter:
        """Load a lifter of a run folder.

        Args:
            run: what ``poseda adapt`` wrote; default the lifter that the package brings.
            arm: default the model that the run's gate.json recommends; without that file the first it has of
                :data:`poseda.runs.verdict.PREFERRED`.
            seed: default the run's first.
            device: where to lift.
            lifter: the module that was adapted, if it was given in place of a name; it is copied.

        Raises:
            ValueError: if the folder holds no such lifter; the message lists those there are. Also if the run
                adapted a module that is not given here.
        """
        run = pretrained.FOLDER if run is None else run
        folder = RunFolder(run)
        record, config = folder.read_record(), folder.read_config()
        seed = config.seeds[0] if seed is None else seed
        there = [name for name in config.arms if folder.weights(seed, name, "lifter").exists()]
        verdict = None if arm is not None else folder.verdict.read()
        chosen = arm or (preferred(there) if verdict is None else verdict["recommended"])
        if chosen is None or not folder.weights(seed, chosen, "lifter").exists():
            wanted = "an adapted lifter" if chosen is None else f"the lifter of arm {chosen}"
            advised = "" if verdict is None else f", which {folder.verdict.name} recommends,"
            found = ", ".join(there) or "none"
            raise ValueError(f"--model: expected {wanted} of seed {seed}{advised} in {run}, found {found}")
        skeleton = Skeleton.named(record["data"]["skeleton"])
        adapted = folder.lifter(seed, chosen, config, skeleton, lifter)
        return cls(adapted.to(device).eval(), skeleton, config, chosen, seed)

    @property
    def wide(self) -> bool:
        """Whether it is the lifter of the arm wide, which reads rays and masks."""
        return isinstance(self.lifter, WideLifter)

    @property
    def frames(self) -> int:
        """How many frames it sees at once."""
        return self.config.frames

    @property
    def device(self) -> torch.device:
        """Where it lifts."""
        return next(self.lifter.parameters()).device

    @torch.no_grad()
    def lift(self, pose_2d: Tensor) -> Tensor:
        """Lift successive frames of one person, averaged with the mirrored pose if the run tests so.

        Args:
            pose_2d: (L, J, 2) screen coordinates, L > 0.

        Returns:
            (L, J, 3) metres, root at the origin, on the host.

        Raises:
            ValueError: if the lifter is of the arm wide, which reads cameras and masks.
        """
        if self.wide:
            raise ValueError("lift: expected a lifter of screen coordinates, got arm wide; use lift_footage")
        one_run = torch.zeros(len(pose_2d), dtype=torch.int64)
        flip = self.config.training.flip
        return predict(self.lifter, pose_2d.to(self.device), self.skeleton, flip, self.frames, one_run).cpu()

    @torch.no_grad()
    def lift_latest(self, window: Tensor) -> Tensor:
        """Lift the last frame of a window, for lifters that look at no later one.

        Args:
            window: (T, J, 2) screen coordinates.

        Returns:
            (1, J, 3) metres, root at the origin, on the host.
        """
        if self.frames == 1:
            return self.lift(window)
        flip = self.config.training.flip
        lifter = FlipAverage(self.lifter, self.skeleton).to(self.device).eval() if flip else self.lifter
        return root_relative(lifter(window[None].to(self.device))[:, -1].float()).cpu()
