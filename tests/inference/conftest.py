"""A finished run and a clip that the tests of `poseda lift` share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from runs_to_lift import SIZE

from poseda.cli import main
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.geometry.camera import denormalize_screen


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run on the embedded domain."""
    out = tmp_path_factory.mktemp("runs") / "run"
    short = ["--training.pretrain-steps", "20", "--training.adapt-steps", "20"]
    options = [*short, "--device", "cpu", "--arms", "source_only", "gpa", "oracle", "--out", str(out)]
    assert main(["adapt", "--preset", "tiny", *options]) == 0
    return out


@pytest.fixture(scope="package")
def clip() -> torch.Tensor:
    """(20, 16, 2) screen coordinates of one clip of the target."""
    poses = EmbeddedDomains(size=0.05).evaluation()
    return poses.pose_2d[poses.clip == poses.clip[0]]


@pytest.fixture
def write(tmp_path: Path, clip: torch.Tensor) -> Callable[..., Path]:
    """``write(hide={(frame, joint)}, skip={frame}, people=1)``: the clip as COCO results of 640 x 480."""

    def write(hide: object = (), skip: object = (), people: int = 1) -> Path:
        pixels = denormalize_screen(clip.double(), *SIZE).numpy()
        items = []
        for frame, pose in enumerate(pixels):
            for person in range(people if frame not in skip else 0):
                points = np.concatenate([pose + 10 * person, np.ones((16, 1))], 1)
                for joint in range(16):
                    points[joint, 2] = (frame, joint) not in hide
                items.append({"image_id": frame, "track_id": person, "keypoints": points.ravel().tolist()})
        path = tmp_path / "clip.json"
        path.write_text(json.dumps(items))
        return path

    return write
