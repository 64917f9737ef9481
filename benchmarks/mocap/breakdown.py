"""Where errors sit: by camera, by tilt of the torso, and away from the poses of the target's training clips.

Groups are made from labels, after training and from the records of evaluation alone. No arm sees them.
By joint, results.json has the errors already.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.mocap.domains import Benchmark
from benchmarks.mocap.motion import read_rigs
from poseda.config import Arm
from poseda.datasets import Domains, LabelledPoses
from poseda.evaluation.evaluate import evaluate
from poseda.evaluation.metrics import MILLIMETRES
from poseda.geometry.skeleton import Skeleton
from poseda.runs import RunFolder
from poseda.runs.atomic import JsonFile, write_atomically
from poseda.runs.renamed import with_arm_of_today

TILTS = (15.0, 30.0, 45.0, 60.0)
"""Edges of the groups of torso tilts, degrees from the vertical."""

NEAR = 25.0
"""Test poses with a training pose nearer than this count as seen before, millimetres."""

POSES_KIND, FARTHER = "nearest training pose", f"farther than {NEAR:.0f} mm"
"""Kind of group and the group of test frames that are unlike all that was seen in training."""

CHUNK = 256
"""Test poses compared with all training poses at once, to stay within the processor's cache."""


def groups_of(domains: Domains, benchmark: Benchmark) -> dict[str, dict[str, Tensor]]:
    """Masks (N,) over the target's test frames, by kind of group and name of the group; none is empty."""
    poses = domains.evaluation("target_test")
    near = nearest_of(domains, benchmark) < NEAR
    found = {
        "camera": _by_camera(poses, benchmark.mocap),
        "torso tilt": _by_tilt(torso_tilt(poses, domains.skeleton)),
        POSES_KIND: {f"within {NEAR:.0f} mm": near, FARTHER: ~near},
    }
    return {
        kind: {name: mask for name, mask in groups.items() if bool(mask.any())}
        for kind, groups in found.items()
    }


def measure(
    folder: RunFolder, seed: int, arm: Arm, domains: Domains, groups: dict[str, dict[str, Tensor]]
) -> None:
    """Evaluate a finished arm on each group and write the rows beside its weights."""
    config = folder.read_config()
    poses = domains.evaluation("target_test")
    lifter = folder.lifter(seed, arm, config, domains.skeleton)
    rows = [
        {"by": kind, "group": name, "arm": arm, "seed": seed}
        | evaluate(lifter, poses.rows(mask), domains.skeleton, config)
        for kind, named in groups.items()
        for name, mask in named.items()
    ]
    breakdown_file(folder, seed, arm).write(rows)


def breakdown_file(folder: RunFolder, seed: int, arm: Arm) -> JsonFile:
    """Where :func:`measure` writes."""
    return JsonFile(folder.arm_path(seed, arm) / "breakdown.json")


def read_breakdown(folder: RunFolder, seed: int, arm: Arm) -> list[dict[str, Any]]:
    """What :func:`measure` wrote; empty where it did not."""
    file = breakdown_file(folder, seed, arm)
    return [with_arm_of_today(row) for row in file.read()] if file.exists() else []


def torso_tilt(poses: LabelledPoses, skeleton: Skeleton) -> Tensor:
    """Angle of pelvis to thorax from the vertical of the world: (N,) degrees."""
    torso = poses.pose_3d[:, skeleton.joint("thorax")] - poses.pose_3d[:, skeleton.joint("pelvis")]
    upwards = torch.from_numpy(poses.columns["rotation"][..., 2])  # the world's z axis in the camera's frame
    return torch.rad2deg(torch.cosine_similarity(torso, upwards).clamp(-1, 1).acos())


def nearest_pose(poses: Tensor, others: Tensor) -> Tensor:
    """Distance of each pose from the nearest of some others.

    Args:
        poses: (N, J, 3) metres.
        others: (M, J, 3) metres.

    Returns:
        (N,) millimetres, mean over joints.
    """
    nearest = []
    for part in poses.split(CHUNK):
        total = torch.zeros(len(part), len(others))
        for joint in range(poses.shape[1]):
            # Not by a product of matrices: that cancels for poses as near as those looked for.
            total += torch.cdist(
                part[:, joint], others[:, joint], compute_mode="donot_use_mm_for_euclid_dist"
            )
        nearest.append(total.amin(1))
    return torch.cat(nearest) * MILLIMETRES / poses.shape[1]


def nearest_of(domains: Domains, benchmark: Benchmark) -> Tensor:
    """Distance of each test pose from the nearest pose of target_train, root-relative; kept in a file."""
    path = benchmark.path.with_name(f"{benchmark.name}_nearest.npy")
    if not path.exists():
        test, train = domains.evaluation("target_test"), domains.oracle()
        content = io.BytesIO()
        np.save(content, nearest_pose(test.root_relative, train.root_relative).numpy())
        write_atomically(path, content.getvalue())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _by_camera(poses: LabelledPoses, mocap: Path) -> dict[str, Tensor]:
    _, rig = read_rigs(mocap / "cameras.json")
    number = torch.from_numpy(poses.columns["camera"])
    return {
        f"{at}: {camera.position[2]:.1f} m high, {camera.pitch:.0f}° down": number == at
        for at, camera in enumerate(rig)
    }


def _by_tilt(tilt: Tensor) -> dict[str, Tensor]:
    groups = {f"under {TILTS[0]:.0f}°": tilt < TILTS[0]}
    for low, high in pairwise(TILTS):
        groups[f"{low:.0f} to {high:.0f}°"] = (tilt >= low) & (tilt < high)
    return groups | {f"{TILTS[-1]:.0f}° and more": tilt >= TILTS[-1]}
