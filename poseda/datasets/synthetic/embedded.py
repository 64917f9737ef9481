"""The embedded domains: a studio and a field with a known gap, made on the spot; nothing need be downloaded.

Synthetic people (:mod:`poseda.geometry.anatomy`) act out a repertoire (``repertoire``) before
a rig of cameras. Between source and target differ, by the constants below: distance, focal length, height and
pitch of the cameras, lens distortion, shape of the picture, body proportions, and what people do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch

from poseda.datasets.filming import NEAREST, look_at
from poseda.datasets.records import SPLITS, AdaptationData, LabelledPoses, UnlabelledPoses, check_evaluated
from poseda.datasets.synthetic.repertoire import (
    FRAME_RATE,
    FRAMES,
    SOURCE_REPERTOIRE,
    TARGET_REPERTOIRE,
    Repertoire,
    draw_clips,
)
from poseda.geometry.anatomy import SKELETON, Array, on_floor, posed
from poseda.geometry.camera import Camera, project
from poseda.geometry.skeleton import Skeleton

CLIPS: dict[str, int] = {"source": 1000, "source_val": 200, "target_train": 400, "target_test": 200}
"""Clips of each split at size 1; a clip has :data:`~poseda.datasets.synthetic.repertoire.FRAMES` rows."""

BONE_LENGTHS: dict[str, float] = {
    "hip": 0.130, "knee": 0.445, "ankle": 0.440, "spine": 0.235, "thorax": 0.255, "head_top": 0.250,
    "shoulder": 0.155, "elbow": 0.285, "wrist": 0.250,
}  # fmt: skip
"""Length of the bone that ends at each joint, of an adult of 1.75 m, metres."""

CLIP_STRIDE = 1_000_000
"""Clip numbers of successive splits start this far apart, so that no two splits share one."""


@dataclass(frozen=True)
class Population:
    """Bodies of one domain.

    Args:
        people: how many different ones.
        proportions: factor of the bone that ends at each joint.
        stature: standard deviation of the common factor.
        build: standard deviation of each symmetric group's own factor.
    """

    people: int
    proportions: dict[str, float]
    stature: float
    build: float


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
        reach: people's clips are centred within this distance of the origin, metres.
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
    """Who does what before which cameras."""

    population: Population
    rig: Rig
    repertoire: Repertoire


STUDIO = Domain(
    Population(people=8, proportions={}, stature=0.04, build=0.025),
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
        build=0.03,
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
        """What may be learned from: the target's 3D poses stay behind."""
        target = self._split("target_train")
        return AdaptationData(
            self.skeleton,
            self._split("source"),
            self._split("source_val"),
            UnlabelledPoses(target.pose_2d, target.camera, target.clip),
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


@dataclass(frozen=True)
class _Take:
    """Clips acted in the world, not yet filmed: N = clips * FRAMES rows, clip by clip in order of time."""

    pose: Array  # (N, J, 3) metres, z up
    camera: np.ndarray  # (N,) which camera of the rig films the row
    clip: np.ndarray  # (N,)
    columns: dict[str, np.ndarray]  # (N,) each


def _render(split: str, clips: int, seed: int) -> LabelledPoses:
    """Act and film one split."""
    domain = DOMAINS[split]
    # People and cameras belong to the domain, motion to the split.
    shared = np.random.default_rng([seed, len(SPLITS) + (domain is FIELD)])
    people, rig = _people(domain.population, shared), _Cameras(domain.rig, shared)
    return _film(_act(split, clips, people, np.random.default_rng([seed, SPLITS.index(split)])), rig)


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


def _film(take: _Take, rig: _Cameras) -> LabelledPoses:
    """See each row through its camera and keep the rows that are wholly on screen."""
    view = take.camera
    pose = np.einsum("nij,nkj->nki", rig.rotation[view], take.pose - rig.position[view, None])
    pose_3d, lens = torch.from_numpy(pose), rig.lens.rows(torch.from_numpy(view))
    pose_2d = project(pose_3d, lens)
    edge = torch.from_numpy(np.stack([np.ones_like(rig.aspect), rig.aspect], -1)[view])
    keep = (pose_3d[..., 2] > NEAREST).all(1) & (pose_2d.abs() < edge[:, None]).flatten(1).all(1)
    columns = {**take.columns, "camera": view, "pitch": rig.pitch[view], "rotation": rig.rotation[view]}
    return LabelledPoses(
        pose_3d[keep].float(),
        pose_2d[keep].float(),
        lens.rows(keep).to(torch.float32),
        torch.from_numpy(take.clip)[keep],
        {name: values[keep.numpy()] for name, values in columns.items()},
    )


def _people(population: Population, rng: np.random.Generator) -> Array:
    """(P, K) bone lengths, metres."""
    stems = [name.removeprefix("left_").removeprefix("right_") for name in SKELETON.joint_names[1:]]
    mean = np.array([BONE_LENGTHS[stem] * population.proportions.get(stem, 1.0) for stem in stems])
    stature = 1 + population.stature * rng.uniform(-1.7, 1.7, (population.people, 1))
    build = 1 + population.build * rng.uniform(-1.7, 1.7, (population.people, SKELETON.num_groups))
    return mean * stature * build[:, list(SKELETON.bone_groups)]


class _Cameras:
    """The cameras of a rig, placed."""

    def __init__(self, rig: Rig, rng: np.random.Generator) -> None:
        count = rig.cameras
        around = np.radians((np.arange(count) + rng.uniform(-0.25, 0.25, count)) * 360 / count)
        distance, height, aim = (
            rng.uniform(*limits, count) for limits in (rig.distance, rig.height, rig.aim)
        )
        self.position = np.stack([distance * np.cos(around), distance * np.sin(around), height], -1)
        self.rotation = look_at(
            self.position, np.array([0.0, 0.0, 1.0]) * aim[:, None], rig.roll * rng.standard_normal(count)
        )
        self.aspect = np.full(count, rig.aspect)
        self.pitch = np.degrees(np.arcsin(-self.rotation[:, 2, 2]))
        focal = rng.uniform(*rig.focal, (count, 1)).repeat(2, 1)
        self.lens = Camera(
            focal=torch.from_numpy(focal),
            center=torch.from_numpy(rng.uniform(-0.02, 0.02, (count, 2))),
            distortion=torch.tensor([rig.distortion] * count, dtype=torch.float64),
            aspect=torch.from_numpy(self.aspect),
        )
