"""How steady and right poses over time are: `python -m benchmarks.steady DOMAINS [--run RUN] [--json FILE]`.

DOMAINS is a domain file of single frames that names each frame's clip, time and camera. Its clips are filmed
again, whole and in order, each by the camera that saw most of it. The 2D gets noise of 5 pixels in a picture
1 000 wide, independent or lasting as detectors' errors do. In a third case limbs are unseen in bursts of half
a second. The lifter sees single frames. Every way over time starts from the same lifted poses.

The last rows pan and tilt the camera by 30 degrees in each clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.mocap.tables import markdown_table
from poseda.bench.record import json_alone, save_record
from poseda.config import SmoothingConfig
from poseda.datasets import open_domains
from poseda.datasets.filming import NEAREST
from poseda.datasets.records import LabelledPoses
from poseda.datasets.timeline import Timeline
from poseda.evaluation.metrics import evaluate_motion, joint_errors
from poseda.export import LiftedPoses
from poseda.geometry.camera import Camera, project
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.inference import AdaptedLifter, LiftOptions
from poseda.inference.fit import FitOptions, fit, noise_of_size
from poseda.inference.model import axis_error, hidden_for_short
from poseda.inference.moving import lift_moving
from poseda.inference.smoothing import filtered
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import ONE_PASS, LiftedFootage, Told, lift_frames

PIXEL, NOISE, LASTING = 2 / 1000, 5.0, 0.8
"""Screen units of a pixel, pixels of noise, and how much of a lasting error is left in the next frame."""

HIDDEN_SHARE, HIDDEN_SECONDS = 0.1, 0.5
"""Share of the time for which a limb's outer half is unseen, and for how long at once."""

TURN = 30.0
"""Degrees by which the moving camera pans and tilts in a clip."""

LONGEST = 100
"""Frames of a clip; of longer ones the middle is taken."""

SLOWEST = 6
"""Frames; no way is looked at for a longer delay."""

SAME = 0.001
"""Seconds; frames nearer in time are one."""

CASES = ("independent noise", "lasting noise", "limbs unseen")

HEADINGS = ("case", "way", "past only", "MPJPE mm", "accel. mm", "delay frames", "unseen joints mm")

Row = tuple[str, str, bool, float, float, float, float]
"""Cells of HEADINGS."""


@dataclass(frozen=True)
class Clips:
    """F frames of clips in order, each clip from one camera.

    Args:
        truth: (F, J, 3) metres, camera axes.
        camera: F rows.
        clip, frame: (F,) int64. Numbers of frames rise; some are missing.
        rate: frames a second.
        skeleton: of the poses.
    """

    truth: Tensor
    camera: Camera
    clip: Tensor
    frame: Tensor
    rate: float
    skeleton: Skeleton

    @property
    def run(self) -> Tensor:
        """(F,) one number for rows of consecutive frames."""
        step, new = (column.diff(prepend=column[:1]) for column in (self.frame, self.clip))
        return torch.cumsum((step != 1) | (new != 0), 0)


def film_again(poses: LabelledPoses, skeleton: Skeleton, longest: int) -> Clips:
    """Whole clips, each from one camera, out of frames that single cameras saw.

    Two views of one frame tell where their cameras stand to each other. So all frames of a clip can be moved
    into the axes of one camera.
    """
    clip, camera = poses.clip.numpy(), poses.columns["camera"]
    time = poses.columns["time"]
    apart = np.diff(np.unique(time[clip == clip[0]]))
    rate = float(np.rint(1 / apart[apart > SAME].min()))
    frame = np.rint(time * rate).astype(np.int64)
    turn = poses.columns["rotation"].astype(np.float64)
    world = np.einsum("nji,nkj->nki", turn, poses.pose_3d.double().numpy())
    place = _stations(world[:, 0], camera, np.stack([clip, frame], 1))
    world = world + place[camera][:, None]
    truth, rows, kept = [], [], []
    for number in np.unique(clip):
        own = np.flatnonzero(clip == number)
        _, first = np.unique(frame[own], return_index=True)
        first = own[first]
        first = first[max(0, (len(first) - longest) // 2) :][:longest]
        eye = np.bincount(camera[own]).argmax()
        at = np.flatnonzero(camera == eye)[0]
        seen = np.einsum("ij,nkj->nki", turn[at], world[first] - place[eye])
        near = seen[..., 2].min(1) > NEAREST
        truth.append(seen[near])
        kept.append(first[near])
        rows.append(np.full(near.sum(), at))
    index = np.concatenate(kept)
    return Clips(
        torch.from_numpy(np.concatenate(truth)).float(),
        poses.camera.rows(torch.from_numpy(np.concatenate(rows))),
        torch.from_numpy(clip[index].astype(np.int64)),
        torch.from_numpy(frame[index]),
        rate,
        skeleton,
    )


def _stations(root: np.ndarray, camera: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Where cameras stand (C, 3) in the world, from people's roots (N, 3) relative to them.

    Raises:
        ValueError: if some camera shares no frame with the others.
    """
    order = np.lexsort((camera, *key.T))
    same = (key[order][1:] == key[order][:-1]).all(1)
    one, other = order[:-1][same], order[1:][same]
    found = {int(camera.min()): np.zeros(3)}
    numbers = set(np.unique(camera).tolist())
    while len(found) < len(numbers):
        known = len(found)
        for a, b in ((one, other), (other, one)):
            for new in numbers - found.keys():
                for old in tuple(found):
                    rows = (camera[a] == old) & (camera[b] == new)
                    if rows.any():
                        apart = root[a[rows]] - root[b[rows]]
                        found[new] = found[old] + np.median(apart, 0)
                        break
        if len(found) == known:
            lone = sorted(numbers - found.keys())
            raise ValueError(f"DOMAINS: expected cameras that share frames, found none for {lone}")
    return np.stack([found.get(number, np.full(3, np.nan)) for number in range(max(numbers) + 1)])


def detected(clips: Clips, case: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Screen coordinates (F, J, 2) with a detector's errors, and the joints (F, J) that it sees."""
    draw = torch.Generator().manual_seed(seed)
    screen = project(clips.truth, clips.camera)
    noise = torch.randn(screen.shape, generator=draw)
    new, step = clips.clip.diff(prepend=clips.clip[:1] - 1) != 0, clips.frame.diff(prepend=clips.frame[:1])
    for row in range(len(noise) if case == "lasting noise" else 0):
        if not new[row]:
            left = LASTING ** int(step[row])
            noise[row] = left * noise[row - 1] + (1 - left**2) ** 0.5 * noise[row]
    seen, frames = torch.ones(screen.shape[:2], dtype=torch.bool), round(HIDDEN_SECONDS * clips.rate)
    if case == "limbs unseen":
        limbs = [
            [clips.skeleton.joint(f"{side}_{joint}") for joint in ends]
            for side in ("left", "right")
            for ends in (("elbow", "wrist"), ("knee", "ankle"))
        ]
        begins = torch.rand((len(screen), len(limbs)), generator=draw) < HIDDEN_SHARE / frames
        for row, limb in begins.nonzero().tolist():
            later = slice(row, row + frames)
            burst = (clips.clip[later] == clips.clip[row]) & (clips.frame[later] < clips.frame[row] + frames)
            seen[later][:, limbs[limb]] &= ~burst[:, None]
    return screen + NOISE * PIXEL * noise, seen


def timeline_of(clips: Clips) -> tuple[Timeline, np.ndarray]:
    """All frames between the first and the last of each clip, and which of them (T,) are there."""
    clip, frame = clips.clip.numpy(), clips.frame.numpy()
    numbers, first, last = np.unique(clip), [], []
    for number in numbers:
        first.append(frame[clip == number].min())
        last.append(frame[clip == number].max())
    frames = np.concatenate([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)])
    size = np.array(last) - np.array(first) + 1
    of_clip = np.repeat(numbers, size)
    start = np.cumsum(size) - size
    index = np.searchsorted(numbers, clip)
    row = np.full(len(frames), -1)
    row[start[index] + frame - np.array(first)[index]] = np.arange(len(clip))
    one = np.ones(len(frames), np.int64)
    return Timeline(row, frames, 0 * one, of_clip, np.repeat(np.arange(len(numbers)), size), one), row >= 0


def smoothed_by(name: str, clips: Clips, lifted: LiftedFootage, seen: Tensor) -> Tensor:
    """Poses (F, J, 3) after a filter of `poseda lift`."""
    timeline, there = timeline_of(clips)
    row = timeline.row[there]
    pose = np.full((len(there), *clips.truth.shape[1:]), np.nan, np.float32)
    error, visible = np.full(pose.shape[:2], np.nan, np.float32), np.zeros(pose.shape[:2], bool)
    pose[there], visible[there] = lifted.pose_3d.numpy()[row], seen.numpy()[row]
    error[there] = lifted.error.numpy()[row]
    error[there, 0] = 0
    at = (timeline.frame, timeline.person, timeline.clip)
    poses = LiftedPoses(pose, None, there.copy(), visible, *at, clips.skeleton, clips.rate, error=error)
    options = LiftOptions(smooth=SmoothingConfig(filter=name), rate=clips.rate)  # type: ignore[arg-type]
    return torch.from_numpy(filtered(poses, timeline, options).pose_3d[there])


def fitted(clips: Clips, lifted: LiftedFootage, rays: Tensor, seen: Tensor) -> Tensor:
    """Poses (F, J, 3) after the fit of `poseda lift`."""
    short = hidden_for_short(seen.numpy(), clips.clip.numpy(), clips.frame.numpy() / clips.rate)
    sigma = torch.from_numpy(axis_error(lifted.error.numpy(), short))
    options = FitOptions(rate=clips.rate)
    known = (lifted.pose_3d, sigma, rays, seen, clips.clip, clips.frame, clips.skeleton)
    return fit(*known, noise=noise_of_size(rays, seen), options=options).pose_3d


def delay(pose_3d: Tensor, truth: Tensor, run: Tensor) -> float:
    """Frames by which movements come late: the shift at which velocities agree best, between whole frames."""
    moved, true = pose_3d.diff(dim=0), truth.diff(dim=0)
    off = []
    for late in range(-1, SLOWEST + 1):
        start = max(late, 0)
        other = torch.arange(start, len(moved) + min(late, 0))
        together = (run[1:][other] == run[:-1][other]) & (run[other] == run[other - late])
        together &= run[1:][other] == run[1:][other - late]
        off.append(float((moved[other] - true[other - late])[together].square().sum(-1).mean()))
    best = int(np.clip(np.argmin(off), 1, len(off) - 2))
    before, at, after = off[best - 1 : best + 2]
    return best - 1 + 0.5 * (before - after) / (before - 2 * at + after)


def measured(case: str, way: str, past: bool, clips: Clips, pose_3d: Tensor, seen: Tensor) -> Row:
    """One row of the table."""
    truth = root_relative(clips.truth)
    errors = joint_errors(pose_3d, truth)
    unseen = float(errors[~seen].mean()) if not bool(seen.all()) else float("nan")
    acceleration = evaluate_motion(pose_3d, truth, clips.run)["acceleration_error"]
    late = delay(pose_3d, truth, clips.run)
    return case, way, past, float(errors.mean()), acceleration, late, unseen


def wide_of(model: AdaptedLifter) -> WideLifter:
    """The lifter of a run.

    Raises:
        ValueError: if it is not of the arm wide.
    """
    if not isinstance(model.lifter, WideLifter):
        raise ValueError(f"--run: expected a run with a lifter of the arm wide, got arm {model.arm}")
    return model.lifter


def rows_of(model: AdaptedLifter, clips: Clips, case: str) -> list[Row]:
    """Every way in one case."""
    screen, seen = detected(clips, case)
    frames = Observation.of(screen, clips.camera, seen, clips.skeleton.num_groups)
    lifter, flip, told = wide_of(model), model.config.training.flip, Told(find_lengths=False)
    whole = lift_frames(lifter, frames, clips.clip, clips.clip, told, average=flip)
    once = lift_frames(lifter, frames, clips.clip, clips.clip, ONE_PASS, average=flip)
    ways: dict[tuple[str, bool], Callable[[], Tensor]] = {
        ("single frames, tilt found", False): lambda: whole.pose_3d,
        ("savgol", False): lambda: smoothed_by("savgol", clips, whole, seen),
        ("fit", False): lambda: fitted(clips, whole, frames.rays[:, 0], seen),
        ("single frames", True): lambda: once.pose_3d,
        ("one_euro", True): lambda: smoothed_by("one_euro", clips, once, seen),
        ("kalman", True): lambda: smoothed_by("kalman", clips, once, seen),
    }
    return [measured(case, name, past, clips, make(), seen) for (name, past), make in ways.items()]


def turned(clips: Clips) -> Clips:
    """The same clips from cameras that pan and tilt about their places as long as a clip lasts."""
    angle = torch.empty(len(clips.frame), dtype=torch.float64)
    for number in clips.clip.unique():
        rows = clips.clip == number
        share = (clips.frame[rows] - clips.frame[rows].min()) / (
            clips.frame[rows].max() - clips.frame[rows].min()
        )
        angle[rows] = torch.deg2rad(TURN * (share.double() - 0.5))
    zero, one, sine, cosine = 0 * angle, torch.ones_like(angle), angle.sin(), angle.cos()
    tilt = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], 1).view(-1, 3, 3)
    pan = torch.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], 1).view(-1, 3, 3)
    truth = (clips.truth.double() @ (tilt @ pan).mT).float()
    return replace(clips, truth=truth, camera=replace(clips.camera, distortion=None))


def moving(model: AdaptedLifter, clips: Clips) -> list[tuple[str, float]]:
    """MPJPE from cameras that move, by how the tilt is found."""
    clips = turned(clips)
    screen, seen = detected(clips, CASES[0])
    frames = Observation.of(screen, clips.camera, seen, clips.skeleton.num_groups)
    lifter, flip, told = wide_of(model), model.config.training.flip, Told(find_lengths=False)
    clip = clips.clip.numpy()
    second = clips.frame.numpy() / clips.rate
    ways: dict[str, Callable[[], LiftedFootage]] = {
        "not found": lambda: lift_frames(lifter, frames, clips.clip, clips.clip, ONE_PASS, average=flip),
        "one vote a clip": lambda: lift_frames(lifter, frames, clips.clip, clips.clip, told, average=flip),
        "--moving-camera": lambda: lift_moving(lifter, frames, clip, clip, second, None, flip),
    }
    truth = root_relative(clips.truth)
    return [(name, float(joint_errors(make().pose_3d, truth).mean())) for name, make in ways.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", type=Path, help="domain file of single frames")
    parser.add_argument("--run", type=Path, help="run with a wide lifter; default: the package's")
    parser.add_argument("--arm", help="of that run; default: the one that it recommends")
    parser.add_argument("--train", action="store_true", help="clips of target_train, to choose constants on")
    parser.add_argument("--longest", type=int, default=LONGEST, help="frames of a clip")
    parser.add_argument("--json", type=Path, help="record the results here")
    asked = parser.parse_args(arguments)
    domains = open_domains(asked.domains)
    poses = domains.oracle() if asked.train else domains.evaluation()
    model = AdaptedLifter.load(asked.run, asked.arm)
    clips = film_again(poses, domains.skeleton, asked.longest)
    record: dict[str, Any] = {
        "arm": model.arm if asked.run else "the package's lifter",
        "clips": len(clips.clip.unique()),
        "frames": len(clips.clip),
        "rows": [row for case in CASES for row in rows_of(model, clips, case)],
        "moving": moving(model, clips),
    }
    with json_alone(asked.json):
        print(markdown_table(*table(record)))
        print(markdown_table(*moving_table({asked.domains.stem: record})))
    save_record(asked.json, record)
    return 0


def table(record: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """A record's rows."""
    cells: list[Sequence[str]] = [
        [
            case,
            way,
            "yes" if past else "no",
            *(f"{round(value, 1) + 0:.1f}" if value == value else "" for value in values),
        ]
        for case, way, past, *values in record["rows"]
    ]
    return HEADINGS, cells


def moving_table(records: dict[str, dict[str, Any]]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Errors from moving cameras, a row for each record."""
    names = [name for name, _ in next(iter(records.values()))["moving"]]
    cells: list[Sequence[str]] = [
        [title, *(f"{value:.1f}" for _, value in record["moving"])] for title, record in records.items()
    ]
    return ("MPJPE mm, camera's tilt", *names), cells


if __name__ == "__main__":
    sys.exit(main())
