"""Pairs of motion-capture domains with the truth put in, and the oracle of the arm wide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.substitutions.truths import Lift, Scene
from poseda import training
from poseda.config import RunConfig
from poseda.datasets import AdaptationData, LabelledPoses, OwnDomains
from poseda.datasets.domain_file import DomainFile
from poseda.datasets.upright import find_up
from poseda.geometry.kinematics import root_relative
from poseda.inference import AdaptedLifter
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.bodies import group_lengths
from poseda.method.two_passes import Told, lift_poses
from poseda.runs import RunFolder

BATCH = 1024
"""Frames lifted at once."""


class Pair(Scene):
    """The people of a target domain: offsets are learned on ``target_train``, errors are of ``target_test``.

    Its 2D is exact and complete, so there is no cleaner one. True lengths are told to the lifter, as those of
    the first pass are. ``one_pass`` is the first pass alone, which knows nothing of the camera.

    Args:
        model: of a wide arm.
        domains: of the pair.
    """

    replaced: ClassVar = ("one_pass", "gravity", "lengths", "size", "offsets", "place")
    together: ClassVar = frozenset(replaced) - {"one_pass"}
    told: ClassVar = frozenset({"one_pass", "gravity", "lengths"})

    def __init__(self, model: AdaptedLifter, domains: DomainFile) -> None:
        super().__init__()
        self.model, self.domains = model, domains

    def lift(self, given: frozenset[str], learning: bool) -> dict[str, Lift]:
        """All of the split as one view, lifted as a run is tested."""
        poses = self.domains.oracle() if learning else self.domains.evaluation()
        skeleton, lifter, average = self.domains.skeleton, self.model.lifter, self.model.config.training.flip
        assert isinstance(lifter, WideLifter)
        told = Told(up=find_up(poses, skeleton).up if "gravity" in given else None, true_lengths=True)
        lifted = lift_poses(lifter, poses, average, told=told)
        frames = Observation.of(poses.pose_2d, poses.camera, None, skeleton.num_groups)
        pose, person = lifted.pose_3d, _people(poses)
        if "one_pass" in given:
            pose = _lifted(lifter, frames, average)
        if "lengths" in given:
            frames = frames.told(lifted.up, measured_lengths(poses, person, self.model))
            pose = _lifted(lifter, frames, average)
        names = skeleton.joint_names
        found = Lift(
            names,
            (0,),
            pose.double().numpy(),
            poses.pose_3d.double().numpy(),
            frames.rays[:, 0].double().numpy(),
            np.ones((len(poses), len(names)), bool),
            person.numpy(),
        )
        return {self.domains.name: found}


def measured_lengths(poses: LabelledPoses, person: Tensor, model: AdaptedLifter) -> Tensor:
    """(N, G) metres, of each person's bones: the median over the frames."""
    lengths = group_lengths(poses.pose_3d, model.skeleton)
    for number in person.unique().tolist():
        rows = person == number
        lengths[rows] = lengths[rows].median(0).values
    return lengths


@torch.no_grad()
def _lifted(lifter: WideLifter, frames: Observation, average: bool) -> Tensor:
    """(N, J, 3) metres, one pass over frames with all that is told of them."""
    lift = lifter.averaged if average else lifter
    parts = torch.arange(len(frames)).split(BATCH)
    return root_relative(torch.cat([lift(frames.rows(rows)).pose_3d[:, 0] for rows in parts]))


def _people(poses: LabelledPoses) -> Tensor:
    """(N,) number of each row's person, as a lift tells people apart: by subject, else by clip."""
    subject = poses.columns.get("subject")
    names = poses.clip.numpy() if subject is None else subject
    return torch.from_numpy(np.unique(names, return_inverse=True)[1].reshape(-1))


def train_oracle(config: RunConfig, seed: int, domains: DomainFile, out: Path) -> None:
    """Train the arm wide by a run's recipe, with the labelled poses of ``target_train`` for a source.

    Expected errors and lengths are made right on views of the same people: those of the source are others.

    Args:
        config: of the run of the arm wide.
        seed: of the training.
        domains: of the pair.
        out: run folder. What is trained there already is not trained again.

    Raises:
        ValueError: if the folder cannot be used.
    """
    data = domains.adaptation()
    labelled = AdaptationData(data.skeleton, domains.oracle(), domains.oracle(), data.target)
    recipe = replace(config, data=None, out=out, arms=("wide",), seeds=(seed,), gate="off")
    recipe = replace(recipe, resume=RunFolder(out).begun)
    own = OwnDomains(f"{domains.name} oracle", labelled, domains.fingerprint(), {})
    run = training.prepare(recipe, own)
    with run.folder.locked():
        run.train_wide(seed)
