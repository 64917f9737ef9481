"""Lifting with a finished run: the size of its pictures, the command, and what it should give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from poseda.cli import main
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.predict import predict

SIZE = (640, 480)
SCREEN = ["--image-size", "640x480", "--layout", "h36m16", "--device", "cpu"]


def predicted(run: Path, pose_2d: torch.Tensor, arm: str = "gpa") -> np.ndarray:
    lifter = AdaptedLifter.load(run, arm).lifter  # type: ignore[arg-type]
    return predict(lifter, pose_2d, H36M16, flip=True).numpy()


def lift(run: Path, source: Path, output: Path, *options: str) -> int:
    return main(
        ["lift", "--model", str(run), "--input", str(source), "--output", str(output), *SCREEN, *options]
    )
