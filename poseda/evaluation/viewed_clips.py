"""Some predictions of a run to view: which clips of the target, what they are called, and their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from poseda.datasets import UnlabelledPoses
from poseda.datasets.account import Account
from poseda.evaluation import labelfree
from poseda.geometry.skeleton import Skeleton
from poseda.runs.checkpoint import Checkpoint

CLIPS = 6
"""Clips kept for viewing."""

FRAMES = 150
"""Most frames kept of a clip."""

NUMBERS = 500_000
"""Most coordinates kept; frames are cut where skeletons and arms are many."""

IN_ORDER = 0.5
"""Successive frames of a recording differ by less than this share of the difference of random frames."""


def clip_names(target: UnlabelledPoses, accounts: Sequence[Account]) -> dict[int, str]:
    """Number of a clip to its name; empty for data whose clips have numbers alone.

    The clips of footage are its people, in the order of paths, recordings and people. Where some have no row,
    the recording is named as far as it is known.
    """
    clips, first = np.unique(target.clip.cpu().numpy(), return_index=True)
    rig = target.rig
    people = [
        (str(clip["name"]), person, clip["people"])
        for account in accounts
        for clip in account.clips
        for person in range(1, clip["people"] + 1)
    ]
    counted = len(people) == len(clips)
    recordings = {name for name, _, _ in people}
    names = {}
    for at, clip in enumerate(clips.tolist()):
        if rig is not None:
            name = rig.recordings[int(rig.recording[first[at]])]
        elif counted or len(recordings) == 1:
            name = people[at][0] if counted else recordings.copy().pop()
        else:
            continue
        several = counted and people[at][2] > 1
        names[clip] = f"{name}, person {people[at][1]} of {people[at][2]}" if several else name
    return names


def save_clips(
    file: Checkpoint,
    target: UnlabelledPoses,
    lifted: Mapping[str, Tensor],
    skeleton: Skeleton,
    up: Mapping[str, Tensor],
    names: Mapping[int, str],
) -> None:
    """Write the first frames of some clips: 2D, what was seen of it, and each model's pose.

    Args:
        file: to write.
        target: N rows.
        lifted: (N, J, 3) poses by arm, camera axes.
        skeleton: of the poses.
        up: (N, 3) upward in camera axes by arm, of those that find it; NaN where unknown.
        names: of clips, by their numbers.
    """
    chosen = _choose_clips(target.clip)
    per_frame = skeleton.num_joints * (2 + 3 * len(lifted))
    frames = max(1, min(FRAMES, NUMBERS // (per_frame * len(chosen))))
    rows = [(target.clip == clip).nonzero()[:, 0][:frames] for clip in chosen]
    index = torch.cat(rows)
    tensors = {
        "pose_2d": target.pose_2d[index],
        "seen": labelfree.seen_joints(target)[index],
        **{f"lifted.{arm}": pose[index].float() for arm, pose in lifted.items()},
    }
    if target.camera.aspect is not None:
        tensors["aspect"] = target.camera.aspect.expand(len(target))[index]
    notes = {
        "joint_names": skeleton.joint_names,
        "parents": skeleton.parents,
        "left": [left for left, _ in skeleton.symmetric_joints],
        "right": [right for _, right in skeleton.symmetric_joints],
        "models": list(lifted),
        "clips": [
            {"clip": clip, "frames": len(part), "in_order": _in_order(target.pose_2d[part])}
            | {"up": {arm: found for arm, rows in up.items() if (found := _one_direction(rows[part]))}}
            | ({"name": names[clip]} if clip in names else {})
            for clip, part in zip(chosen, rows, strict=True)
        ],
    }
    file.save(tensors, notes)


def _one_direction(up: Tensor) -> list[float] | None:
    """The upward direction of frames (F, 3) that share one; None where it is unknown or changes."""
    same = bool(torch.allclose(up, up[:1].expand_as(up), atol=1e-5))  # not so with NaN
    return [round(x, 6) for x in up[0].tolist()] if same else None


def _choose_clips(clip: Tensor) -> list[int]:
    """Some of the longer clips, evenly over the recording."""
    clips, count = clip.unique(return_counts=True)
    long = clips[count >= min(FRAMES, int(count.double().quantile(0.5)))]
    picked = torch.linspace(0, len(long) - 1, min(CLIPS, len(long))).round().long()
    return [int(number) for number in long[picked]]


def _in_order(pose_2d: Tensor) -> bool:
    """Whether rows are successive frames, rather than frames in any order or through several cameras."""
    if len(pose_2d) < 3:
        return False
    shuffled = torch.randperm(len(pose_2d), generator=torch.Generator().manual_seed(0))
    step, any_two = (rows.diff(dim=0).abs().mean((1, 2)) for rows in (pose_2d, pose_2d[shuffled]))
    return bool(step.median() < IN_ORDER * any_two.median())
