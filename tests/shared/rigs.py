"""A person before several cameras whose rotations are known, as files of detections and of a calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.geometry.camera import tilted_up
from poseda.geometry.rotation import composed, rotation_matrix, shortest_rotation
from poseda.geometry.skeleton import H36M16

SIZE = (1280, 960)
FOCAL = 1100.0


@dataclass(frozen=True)
class FilmedRig:
    """What was written.

    Args:
        paths: detections of each camera, npz.
        calibration: TOML of all cameras.
        source: a few labelled poses, npz.
        rotation: (C, 3, 3) world to camera.
        up: (C, 3) upward in each camera.
        pose_3d: (C, F, J, 3) the truth in each camera, metres, relative to the root.
    """

    paths: list[Path]
    calibration: Path
    source: Path
    rotation: Tensor
    up: Tensor
    pose_3d: Tensor


def film_rig(
    folder: Path, tilts: tuple[tuple[float, float], ...] = ((10, 0), (35, 5)), frames: int = 60
) -> FilmedRig:
    """Film one person by cameras of these pitches and rolls, degrees, from as many sides."""
    folder.mkdir(exist_ok=True)
    labelled = EmbeddedDomains(size=0.05).evaluation()
    rotation_of_row = torch.from_numpy(np.ascontiguousarray(labelled.columns["rotation"])).double()
    world = torch.einsum("nxw,njx->njw", rotation_of_row, labelled.root_relative.double())[:frames]
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    rotations, paths, lines = [], [], []
    for at, tilt in enumerate(tilts):
        seen_up = tilted_up(torch.tensor(tilt, dtype=torch.float64).deg2rad())
        heading = up * (2 * math.pi * at / (len(tilts) + 0.5))
        vector = composed(shortest_rotation(up[None], seen_up[None]), heading[None])[0]
        rotation = rotation_matrix(vector)
        local = world @ rotation.T + torch.tensor([0.0, 0.0, 4.0])
        pixels = FOCAL * local[..., :2] / local[..., 2:] + torch.tensor(SIZE) / 2
        path = folder / f"cam{at}.npz"
        np.savez(
            path,
            keypoints=torch.cat([pixels, torch.ones(*pixels.shape[:2], 1)], -1).numpy(),
            joint_names=np.array(H36M16.joint_names),
            image_size=np.array(SIZE),
            frame=np.arange(frames),
        )
        matrix = [[FOCAL, 0.0, SIZE[0] / 2], [0.0, FOCAL, SIZE[1] / 2], [0.0, 0.0, 1.0]]
        lines += [
            f"[cam_{at}]",
            f'name = "cam{at}"',
            f"size = {[float(n) for n in SIZE]}",
            f"matrix = {matrix}",
        ]
        lines += ["distortions = [0.0, 0.0, 0.0, 0.0]", f"rotation = {vector.tolist()}", "fisheye = false"]
        rotations.append(rotation)
        paths.append(path)
    calibration = folder / "Calib.toml"
    calibration.write_text("\n".join([*lines, "[metadata]", "error = 0.0", ""]))
    source = folder.parent / "source.npz"
    poses = labelled.pose_3d[:40].double().numpy()
    np.savez(source, pose_3d=poses, focal=np.full(2, 2.0), center=np.zeros(2), clip=np.arange(40) // 5)
    rotation = torch.stack(rotations)
    return FilmedRig(
        paths, calibration, source, rotation, rotation @ up, torch.einsum("cxw,fjw->cfjx", rotation, world)
    )
