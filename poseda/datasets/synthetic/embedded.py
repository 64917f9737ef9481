"""The embedded domains: a studio and a field with a known gap, computed without any file.

Synthetic people (:mod:`poseda.geometry.anatomy`) act out a repertoire
(:mod:`poseda.datasets.synthetic.repertoire`) before a rig of cameras. The constants below set the gap.
Cameras differ in distance, height, pitch, focal length, distortion and shape of the picture. People differ
in body proportions and motions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch

from poseda.datasets.filming import FixedCamera, film, labelled, look_at, pitch_of
from poseda.datasets.records import SPLITS, AdaptationData, LabelledPoses, UnlabelledPoses, check_evaluated
from poseda.datasets.synthetic.repertoire import (
    FRAME_RATE,
    FRAMES,
    SOURCE_REPERTOIRE,
    TARGET_REPERTOIRE,
    Repertoire,
    draw_clips,
)
from poseda.geometry.anatomy import SKELETON, on_floor, posed
from poseda.geometry.camera import Camera
from poseda.geometry.rotation import Array
from poseda.geometry.skeleton import Skeleton

CLIPS: dict[str, int] = {"source": 1000, "source_val": 200, "target_train": 400, "target_test": 200}
"""Clips of each split at size 1; a clip has :data:`~poseda.datasets.synthetic.repertoire.FRAMES` rows."""

BONE_LENGTHS: dict[str, float] = {
    "hip": 0.130, "knee": 0.445, "ankle": 0.440, "spine": 0.235, "thorax": 0.255, "head_top": 0.250,
    "shoulder": 0.155, "elbow": 0.285, "wrist": 0.250,
}  # fmt: skip
"""Length of the bone that ends at each joint, of an adult of 1.75 m, metres."""

CLIP_STRIDE = 1_000_000
"""Clip numbers of successive splits start this far apart, so that no two splits share a number."""


@dataclass(frozen=True)
class Population:
    """People of one domain.

    Args:
        people: their number.
        proportions: factor of the bone that ends at each joint.
        stature: standard deviation of the common factor.
        group_factor: standard deviation of each symmetric group's own factor.
    """

    people: int
    proportions: dict[str, float]
    stature: float
    group_factor: float


@dataclass(frozen=True)
class Rig:
    """Cameras around the origin of the floor.

    Args:
        distance, height: (least, greatest) of each camera, metres, horizontally and above the floor.
        aim: (least, greatest) height of the point each camera looks at, metres.
        roll: standard deviation, degrees.
        focal: (least, greatest) focal length in half screen widths.
        distortion: k1, k2, k3, p1, p2 of every camera.
        aspect: height over width of the picture.
        cameras: how many, evenly around the origin.
        reach: clips are centred within this distance of the origin along each axis, metres.
    """

    distance: tuple[float, float]
    height: tuple[float, float]
    aim: tuple[float, float]
    roll: float
    focal: tuple[float, float]
    distortion: tuple[float, float, float, float, float]
    aspect: float
    cameras: int
    reach: float


@dataclass(frozen=True)
class Domain:
    """People, their motions, and the cameras that film them."""

    population: Population
    rig: Rig
    repertoire: Repertoire


STUDIO = Domain(
    Population(people=8, proportions={}, stature=0.04, group_factor=0.025),
    Rig(
        distance=(4.6, 5.6), height=(1.3, 2.0), aim=(0.8, 1.0), roll=0.5, focal=(2.2, 2.35),
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0), aspect=1.0, cameras=4, reach=0.4,
    ),
    SOURCE_REPERTOIRE,
)  # fmt: skip

FIELD = Domain(
    Population(
        people=6,
        proportions={
            "hip": 0.85, "knee": 0.93, "ankle": 0.92, "thorax": 1.05, "shoulder": 1.1, "elbow": 0.95,
            "wrist": 0.92,
        },
        stature=0.05,
        group_factor=0.03,
    ),
    Rig(
        distance=(2.3, 3.5), height=(0.6, 1.2), aim=(0.6, 1.2), roll=2.0, focal=(1.25, 1.5),
        distortion=(-0.08, 0.02, 0.0, 0.002, -0.001), aspect=0.75, cameras=6, reach=0.7,
    ),
    TARGET_REPERTOIRE,
)  # fmt: skip

DOMAINS: dict[str, Domain] = {split: STUDIO if split.startswith("source") else FIELD for split in SPLITS}


class EmbeddedDomains:
    """The embedded studio and field. The same seed and size give the same bits.

    Args:
        seed: of people, cameras and motion.
        size: share of the default number of clips, above 0; every split keeps at least two clips.

    Raises:
        ValueError: if the size is not positive.
    """

    def __init__(self, seed: int = 0, size: float = 1.0) -> None:
        if not 0 < size < float("inf"):
            raise ValueError(f"size: expected a positive number, got {size}")
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        self._seed, self._size = seed, size
        self._made: dict[str, LabelledPoses] = {}

    @property
    def name(self) -> str:
        return "embedded"

    @property
    def skeleton(self) -> Skeleton:
        return SKELETON

    def adaptation(self) -> AdaptationData:
        """The data to learn from, without the target's 3D poses."""
        target = self._split("target_train")
        return AdaptationData(
            self.skeleton,
            self._split("source"),
            self._split("source_val"),
            UnlabelledPoses(
                target.pose_2d,
                target.camera,
                target.clip,
                time=torch.from_numpy(target.columns["time"]),
            ),
        )

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        """Labelled poses to compare predictions with: ``target_test`` or ``source_val``."""
        return self._split(check_evaluated(split))

    def oracle(self) -> LabelledPoses:
        """Labelled target_train, for the oracle arm and for nothing else."""
        return self._split("target_train")

    def fingerprint(self) -> str:
        """SHA-256 over every tensor of every split."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split in SPLITS:
            poses = self._split(split)
            camera = [getattr(poses.camera, entry.name) for entry in fields(Camera)]
            for tensor in (poses.pose_3d, poses.pose_2d, poses.clip, *camera):
                if tensor is not None:
                    digest.update(f"{split} {tensor.dtype} {tuple(tensor.shape)}".encode())
                    digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _split(self, split: str) -> LabelledPoses:
        if split not in self._made:
            clips = max(2, round(CLIPS[split] * self._size))
            self._made[split] = _render(split, clips, self._seed)
        return self._made[split]


def _render(split: str, clips: int, seed: int) -> LabelledPoses:
    """Act and film one split, and keep the rows that are wholly in the picture."""
    domain = DOMAINS[split]
    # People and cameras belong to the domain, motion to the split.
    shared = np.random.default_rng([seed, len(SPLITS) + (domain is FIELD)])
    people, cameras = _people(domain.population, shared), _placed(domain.rig, shared)
    take = _act(split, clips, people, np.random.default_rng([seed, SPLITS.index(split)]))
    own = cameras.rows(take.camera)
    shot = film(take.pose, own)
    kept = shot.in_front & shot.on_screen
    columns = {**take.columns, "camera": take.camera, "pitch": own.pitch, "rotation": own.rotation}
    return labelled(
        shot.pose_3d[kept],
        own.lens.rows(torch.from_numpy(kept)),
        take.clip[kept],
        {name: values[kept] for name, values in columns.items()},
        shot.pose_2d[kept],
    )


@dataclass(frozen=True)
class _Take:
    """Clips in the world that are not filmed yet: N = clips * FRAMES rows, clip by clip in order of time.

    Args:
        pose: (N, J, 3) metres, z up.
        camera: (N,) the camera of the rig that films the row.
        clip: (N,).
        columns: (N,) each.
    """

    pose: Array
    camera: np.ndarray
    clip: np.ndarray
    columns: dict[str, np.ndarray]


def _act(split: str, clips: int, people: Array, rng: np.random.Generator) -> _Take:
    """Draw clips, stand them on the floor near the origin, and give each a person and a camera."""
    domain = DOMAINS[split]
    angles, heading, posture = draw_clips(clips, domain.repertoire, rng)
    person, camera = rng.integers(len(people), size=clips), rng.integers(domain.rig.cameras, size=clips)
    rows = clips * FRAMES
    flat = posed(angles.reshape(rows, -1), people[person].repeat(FRAMES, 0), heading.reshape(rows))
    pose = on_floor(flat.reshape(clips, FRAMES, SKELETON.num_joints, 3))
    middle = pose[:, :, :1, :2].mean((1, 2), keepdims=True)
    pose[..., :2] += rng.uniform(-1, 1, (clips, 1, 1, 2)) * domain.rig.reach - middle
    cast = np.array([f"{split.split('_')[0]}{number}" for number in range(len(people))])
    return _Take(
        pose=pose.reshape(rows, SKELETON.num_joints, 3),
        camera=camera.repeat(FRAMES),
        clip=SPLITS.index(split) * CLIP_STRIDE + np.arange(clips).repeat(FRAMES),
        columns={
            "subject": cast[person].repeat(FRAMES),
            "time": np.tile(np.arange(FRAMES) / FRAME_RATE, clips),
            "frame": np.tile(np.arange(FRAMES), clips),
            "action": posture.repeat(FRAMES),
        },
    )


def _people(population: Population, rng: np.random.Generator) -> Array:
    """(P, K) bone lengths, metres."""
    stems = [name.removeprefix("left_").removeprefix("right_") for name in SKELETON.joint_names[1:]]
    mean = np.array([BONE_LENGTHS[stem] * population.proportions.get(stem, 1.0) for stem in stems])
    stature = 1 + population.stature * rng.uniform(-1.7, 1.7, (population.people, 1))
    factor = 1 + population.group_factor * rng.uniform(-1.7, 1.7, (population.people, SKELETON.num_groups))
    return mean * stature * factor[:, list(SKELETON.bone_groups)]


def _placed(rig: Rig, rng: np.random.Generator) -> FixedCamera:
    """The cameras of a rig in the world, one row each."""
    count = rig.cameras
    around = np.radians((np.arange(count) + rng.uniform(-0.25, 0.25, count)) * 360 / count)
    distance, height, aim = (rng.uniform(*limits, count) for limits in (rig.distance, rig.height, rig.aim))
    position = np.stack([distance * np.cos(around), distance * np.sin(around), height], -1)
    target = np.array([0.0, 0.0, 1.0]) * aim[:, None]
    rotation = look_at(position, target, rig.roll * rng.standard_normal(count))
    focal = rng.uniform(*rig.focal, (count, 1)).repeat(2, 1)
    lens = Camera(
        focal=torch.from_numpy(focal),
        center=torch.from_numpy(rng.uniform(-0.02, 0.02, (count, 2))),
        distortion=torch.tensor([rig.distortion] * count, dtype=torch.float64),
        aspect=torch.full((count,), rig.aspect, dtype=torch.float64),
    )
    return FixedCamera(rotation, position, lens, pitch_of(rotation))
