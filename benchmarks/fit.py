"""What the fit of bone lengths is worth: `python -m benchmarks.fit [--run RUN] [--json FILE]`.

The embedded target's test clips, with noise of 5 pixels in a picture 1 000 wide. 3 % of the joints are far
off, and a tenth of the limbs' ends is unseen for half a second. A run lifts the poses, or they are the truth
with an error of a known size, half of whose variance lasts. Every row fits the same poses.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.mocap.tables import markdown_table
from poseda import ops
from poseda.bench.record import json_alone, save_record
from poseda.datasets import open_domains
from poseda.datasets.records import LabelledPoses
from poseda.evaluation.metrics import evaluate_motion, joint_errors
from poseda.geometry.distortion import undistort
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.inference import AdaptedLifter
from poseda.inference.energy import project
from poseda.inference.fit import FitOptions, fit
from poseda.inference.proportions import standing_height, usual_lengths

PIXELS, FAR_SHARE, FAR_PIXELS = 5.0, 0.03, 60.0
"""Noise of every joint, and share and size of the joints that are far off, at a width of 1 000 pixels."""

HIDDEN_SHARE, HIDDEN_FRAMES = 0.1, 5
"""Share and duration of the time for which the end of a limb is unseen."""

ERROR, LASTING = 0.05, 0.8
"""Metres of the made-up lifter's error along an axis; correlation of its lasting half from frame to frame."""

RATE = 10.0
"""Frames a second of the embedded domains."""

VARIANTS: dict[str, dict[str, Any]] = {
    "fit": {},
    "stature known": {"stature": True},
    "without smoothness": {"acceleration": 1e4},
    "without rays": {"noise": 1e3},
    "all rays believed": {"outlier": 1e3},
    "lengths of the lifter": {"length_error": 1e-3},
    "lengths free": {"length_error": 10.0},
}
"""What is changed in each row."""

Row = tuple[str, float, float, float, float, float]
"""Name and the numbers of HEADINGS."""

HEADINGS = ("poses", "MPJPE mm", "accel. mm", "lengths' spread %", "reprojection px", "root's depth off by %")


@dataclass(frozen=True)
class Case:
    """Lifted sequences and their truth; fields as arguments of :func:`poseda.inference.fit.fit`."""

    truth: Tensor
    pose_3d: Tensor
    sigma: Tensor
    rays: Tensor
    seen: Tensor
    track: Tensor
    time: Tensor
    noise: Tensor
    skeleton: Skeleton


def detected(poses: LabelledPoses, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Screen coordinates (F, J, 2) with a detector's errors, and which joints (F, J) it sees."""
    shape = poses.pose_2d.shape
    pixel = 2 / 1000
    far = torch.rand(shape[:2], generator=draw) < FAR_SHARE
    size = torch.where(far, FAR_PIXELS, PIXELS)[..., None] * pixel
    screen = poses.pose_2d + size * torch.randn(shape, generator=draw)
    begins = torch.rand(shape[:2], generator=draw) < HIDDEN_SHARE / HIDDEN_FRAMES
    hidden = begins.clone()
    for later in range(1, HIDDEN_FRAMES):
        hidden[later:] |= begins[:-later]
    return screen, ~hidden


def made_up(truth: Tensor, track: Tensor, draw: torch.Generator) -> Tensor:
    """Root-relative poses with an error of which half lasts."""
    white = ERROR * torch.randn(truth.shape, generator=draw) * 0.5**0.5
    lasting = ERROR * torch.randn(truth.shape, generator=draw) * 0.5**0.5
    for row in range(1, len(truth)):
        if track[row] == track[row - 1]:
            lasting[row] = LASTING * lasting[row - 1] + (1 - LASTING**2) ** 0.5 * lasting[row]
    error = white + lasting
    error[:, 0] = 0
    return root_relative(truth) + error


def build(run: Path | None, arm: str | None, size: float) -> Case:
    """The sequences, lifted by a run or made up."""
    domains = open_domains(None, size=size)
    poses, draw = domains.evaluation(), torch.Generator().manual_seed(0)
    skeleton = domains.skeleton
    ends = [skeleton.joint(f"{side}_{name}") for side in ("left", "right") for name in ("wrist", "ankle")]
    screen, seen = detected(poses, draw)
    seen[:, [joint for joint in range(skeleton.num_joints) if joint not in ends]] = True
    camera = poses.camera
    rays = undistort((screen - camera.center[:, None]) / camera.focal[:, None], camera.distortion)
    sigma = torch.full(seen.shape, ERROR)
    if run is None:
        lifted = made_up(poses.pose_3d, poses.clip, draw)
    else:
        model = AdaptedLifter.load(run, arm)  # type: ignore[arg-type]
        lifted = model.lift(screen)
        # As a lifter with an estimate of its error would say: per joint, from labels of the source.
        known = domains.evaluation("source_val")
        error = model.lift(known.pose_2d) - known.root_relative
        sigma = error.square().mean((0, 2)).sqrt().expand(seen.shape)
    noise = (PIXELS * 2 / 1000 / camera.focal.mean(1, keepdim=True)).expand(len(rays), 1)
    frame = torch.from_numpy(poses.columns["frame"])
    return Case(poses.pose_3d, lifted, sigma, rays, seen, poses.clip, frame, noise, skeleton)


def measured(name: str, case: Case, pose_3d: Tensor, root: Tensor | None, reprojection: Tensor) -> Row:
    """One row of the table."""
    truth = root_relative(case.truth)
    errors = joint_errors(pose_3d, truth)
    runs = torch.cumsum((case.track.diff(prepend=case.track[:1]) != 0) | _after_gap(case), 0)
    length, row = ops.bones(pose_3d, case.skeleton).norm(dim=-1), case.track.unique(return_inverse=True)[1]
    spreads = [(length[row == one].std(0) / length[row == one].mean(0)).mean() for one in row.unique()]
    depth = torch.nan if root is None else float((root[:, 2] / case.truth[:, 0, 2] - 1).abs().mean())
    pixels = float((reprojection / case.noise[:, 0]).nanmean()) * PIXELS
    acceleration = evaluate_motion(pose_3d, truth, runs)["acceleration_error"]
    spread = 100 * float(torch.stack(spreads).mean())
    return name, float(errors.mean()), acceleration, spread, pixels, 100 * depth


def _after_gap(case: Case) -> Tensor:
    return case.time.diff(prepend=case.time[:1]) != 1


def rows(case: Case) -> list[Row]:
    """The lifted poses and every variant of the fit."""
    track = case.track.unique(return_inverse=True)[1]
    true = usual_lengths(root_relative(case.truth), track, int(track.max()) + 1, case.skeleton)
    found: list[Row] = []
    for name, change in VARIANTS.items():
        change = dict(change)
        stature = standing_height(true, case.skeleton) if change.pop("stature", False) else None
        noise = case.noise * change.pop("noise", 1.0)
        known = (case.pose_3d, case.sigma, case.rays, case.seen, case.track, case.time, case.skeleton)
        result = fit(*known, noise=noise, stature=stature, options=FitOptions(rate=RATE, **change))
        if not found:
            found.append(measured("lifted", case, case.pose_3d, None, result.before))
        off = (project(result.pose_3d + result.root[:, None]) - case.rays).norm(dim=-1)
        reprojection = off.where(case.seen, torch.nan).nanmean(1)
        found.append(measured(name, case, result.pose_3d, result.root, reprojection))
    return found


def speed(case: Case, counts: Sequence[int]) -> list[tuple[int, int, float]]:
    """Frames, tracks and frames a second of CPU time, of the case's frames again and again."""
    found = []
    for count in counts:
        index = torch.arange(count) % len(case.track)
        track = case.track[index] + torch.arange(count) // len(case.track) * (int(case.track.max()) + 1)
        pose, sigma, rays, seen = (value[index] for value in (case.pose_3d, case.sigma, case.rays, case.seen))
        time_of = case.time[index]
        begin = time.process_time()
        result = fit(pose, sigma, rays, seen, track, time_of, case.skeleton, noise=case.noise[index])
        found.append((count, len(result.tracks), count / (time.process_time() - begin)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="run folder whose lifter lifts; default: made-up errors")
    parser.add_argument("--arm", help="of that run; default: the one that it recommends")
    parser.add_argument("--size", type=float, default=0.25, help="of the embedded domains")
    parser.add_argument("--json", type=Path, help="record the results here")
    asked = parser.parse_args(arguments)
    case = build(asked.run, asked.arm, asked.size)
    record: dict[str, Any] = {
        "rows": rows(case),
        "speed": speed(case, (1000, 10_000)),
        "frames": len(case.track),
    }
    with json_alone(asked.json):
        print(markdown_table(*table(record)))
        for frames, tracks, rate in record["speed"]:
            print(f"{frames:,} frames of {tracks} tracks: {rate:.0f} frames a second of CPU time")
    save_record(asked.json, record)
    return 0


def table(record: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """A record's rows."""
    cells: list[Sequence[str]] = [
        [name, *(f"{value:.1f}" if value == value else "" for value in values)]
        for name, *values in record["rows"]
    ]
    return HEADINGS, cells


if __name__ == "__main__":
    sys.exit(main())
