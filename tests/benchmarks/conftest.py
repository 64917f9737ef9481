"""Motion files and a clip of real detections, made up for the tests of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from two_cameras import SIZE, rig

from benchmarks.mocap.motion import BODY_DONORS
from poseda.datasets.filming import look_at
from poseda.datasets.synthetic.repertoire import FRAMES, TARGET_REPERTOIRE, draw_clips
from poseda.geometry import anatomy
from poseda.geometry.skeleton import H36M16

MOCAP_SUBJECTS = {
    "cmu": [*BODY_DONORS, "cmu01", "cmu86"] * 4,
    "cmu_retargeted": ["cmu05@iclone", "cmu07@iclone", "walking@expmap"] * 4,
    "bandai1": ["bandai1@a"] * 12,
    "bandai2": ["bandai2@b"] * 12,
}


def _write_motion(path: Path, subjects: list[str], rng: np.random.Generator) -> None:
    clips = len(subjects)
    angles, heading, _ = draw_clips(clips, TARGET_REPERTOIRE, rng)
    build = {subject: rng.uniform(0.2, 0.4, 15) for subject in sorted(set(subjects))}
    lengths = np.stack([build[subject] for subject in subjects]).repeat(FRAMES, 0)
    flat = anatomy.posed(angles.reshape(clips * FRAMES, -1), lengths, heading.flatten())
    pose = anatomy.on_floor(flat.reshape(clips, FRAMES, 16, 3)).reshape(-1, 16, 3)
    np.savez(
        path,
        positions=pose.astype(np.float32),
        clip_index=np.arange(clips, dtype=np.int32).repeat(FRAMES),
        frame_time=np.tile(np.arange(FRAMES, dtype=np.float32) / 10, clips),
        subject=np.array(subjects),
    )


def _calibrations(rng: np.random.Generator) -> dict:
    def extrinsics(distance: float, height: float, cameras: int) -> list[dict]:
        around = np.arange(cameras) * 2 * np.pi / cameras + rng.uniform(0, 0.3)
        position = np.stack(
            [distance * np.cos(around), distance * np.sin(around), np.full(cameras, height)], -1
        )
        rotation = look_at(position, np.tile([0.0, 0.0, 0.9], (cameras, 1)), np.zeros(cameras))
        return [
            {
                "R_world_to_cam": r.tolist(),
                "position_m": p.tolist(),
                "pitch_down_deg": np.degrees(np.arcsin(-r[2, 2])),
            }
            for r, p in zip(rotation, position, strict=True)
        ]

    wide = {"focal_length": [1500.0, 1498.0], "center": [1020.0, 1030.0], "res_w": 2048, "res_h": 2048}
    lens = {
        "focal_length": [1145.0, 1144.0],
        "center": [512.0, 515.0],
        "res_w": 1000,
        "res_h": 1002,
        "radial_distortion": [-0.2, 0.24, -0.003],
        "tangential_distortion": [-0.001, -0.0014],
    }
    subjects = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
    low, high = extrinsics(3.6, 1.0, 5), extrinsics(4.0, 3.0, 3)
    return {
        "human36m": {"intrinsics": [lens] * 4, "extrinsics": {s: extrinsics(5.2, 1.6, 4) for s in subjects}},
        "mpi_inf_3dhp": {"training_cameras": [{**wide, **e} for e in low + high]},
    }


@pytest.fixture(scope="session")
def mocap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made-up folder of motion files, of the form that benchmarks.mocap.motion reads."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("mocap")
    for name, subjects in MOCAP_SUBJECTS.items():
        _write_motion(path / f"{name}.npz", subjects, rng)
    (path / "cameras.json").write_text(json.dumps(_calibrations(rng)))
    return path


@pytest.fixture
def clip(tmp_path: Path, bodies: np.ndarray) -> Path:
    """Forty frames of a person before two cameras; the left wrist is hidden in the second half."""
    rotation, shift = rig()
    matrix = np.array([[1500.0, 0, 960], [0, 1500, 540], [0, 0, 1]])
    keypoints = np.zeros((2, 40, 16, 3))
    for camera in range(2):
        seen = bodies @ rotation[camera].T + shift[camera]
        picture = seen @ matrix.T
        keypoints[camera, ..., :2] = picture[..., :2] / picture[..., 2:]
        keypoints[camera, ..., 2] = 0.9
    keypoints[:, 20:, H36M16.joint("left_wrist"), 2] = 0
    path = tmp_path / "someone.npz"
    np.savez(
        path,
        keypoints=keypoints,
        joint_names_2d=np.array(H36M16.joint_names),
        image_size=np.array([SIZE, SIZE]),
        K=np.stack([matrix, matrix]),
        dist=np.zeros((2, 5)),
        R=rotation,
        t=shift,
        pose_3d=bodies,
        joint_names_3d=np.array(H36M16.joint_names),
        frame=np.arange(40),
    )
    return path


@pytest.fixture
def bodies() -> np.ndarray:
    """(40, 16, 3) metres in a world with z up, the pelvis 1 m high."""
    rng = np.random.default_rng(0)
    middle = anatomy.RANGES.mean(1) * 0.3
    angles = middle + 10 * rng.standard_normal((40, len(anatomy.DEGREES)))
    lengths = np.full((40, 15), 0.3)
    return anatomy.posed(angles, lengths, rng.uniform(0, 360, 40)) + np.array([0, 0, 1.0])
