"""Runs of consecutive frames: examples worked by hand, and those of the embedded domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseda.datasets import Domains, LabelledPoses, open_domains
from poseda.datasets.order import continuous_runs, why_unordered
from poseda.geometry.camera import Camera


def rows(clip: list[int], focal: list[float] | None = None, **columns: Any) -> LabelledPoses:
    size = len(clip)
    lens = torch.tensor(focal or [1.0] * size)[:, None].expand(size, 2)
    return LabelledPoses(
        torch.ones(size, 16, 3),
        torch.zeros(size, 16, 2),
        Camera(focal=lens, center=torch.zeros(1, 2)),
        torch.tensor(clip),
        {name: np.array(values) for name, values in columns.items()},
    )


def test_a_run_ends_with_its_clip_its_camera_and_where_frames_are_missing() -> None:
    assert continuous_runs(rows([4, 4, 4, 2, 2])).tolist() == [0, 0, 0, 1, 1]
    assert continuous_runs(rows([4, 4, 4], focal=[1.0, 1.0, 1.5])).tolist() == [0, 0, 1]
    assert continuous_runs(rows([4, 4, 4], camera=[3, 5, 5])).tolist() == [0, 1, 1]
    assert continuous_runs(rows([4] * 5, frame=[7, 8, 11, 12, 13])).tolist() == [0, 0, 1, 1, 1]
    # Every third frame of a recording, and one of them lost.
    assert continuous_runs(rows([4] * 5, frame=[0, 3, 6, 12, 15])).tolist() == [0, 0, 0, 1, 1]


def test_picked_rows_remember_what_lay_between_them() -> None:
    poses = rows([4] * 6)
    assert continuous_runs(poses.rows(torch.tensor([0, 1, 3, 4, 5]))).tolist() == [0, 0, 1, 1, 1]
    assert continuous_runs(poses.rows(torch.arange(0, 6, 2))).tolist() == [0, 0, 0]
    twice = poses.rows(torch.tensor([1, 2, 3, 4, 5])).rows(torch.tensor([0, 1, 3, 4]))
    assert continuous_runs(twice).tolist() == [0, 0, 1, 1]


def test_rows_that_are_not_frames_in_order_are_refused_with_a_reason() -> None:
    assert why_unordered(rows([4, 4, 2, 2])) is None
    assert why_unordered(rows([4, 2, 4, 4, 1, 4])) == "rows out of order (clip 4 is split into 3 parts)"
    assert why_unordered(rows([1, 2, 3])) == "no two consecutive frames"
    assert (
        why_unordered(rows([4, 4, 2, 2], time=[0.5, 0.0, 0.0, 0.1])) == "a time that decreases within clip 4"
    )
    assert why_unordered(rows([4, 4, 2, 2], time=[0.0, 0.1, 0.0, 0.1])) is None


def test_the_embedded_domains_are_sequences_of_smooth_motion(domains: Domains) -> None:
    data = domains.adaptation()
    for poses in (data.source, data.source_val, domains.oracle(), domains.evaluation()):
        assert why_unordered(poses) is None
        run = continuous_runs(poses)
        joined = run[2:] == run[:-2]
        assert joined.float().mean() > 0.8
        # In order, motion is far smoother than the same frames in any other order.
        within = torch.argsort(run.double() + 0.9 * torch.rand(len(poses)))
        jerk = [
            pose.diff(n=2, dim=0)[joined].norm(dim=-1).mean()
            for pose in (poses.pose_3d, poses.pose_3d[within])
        ]
        assert jerk[0] < 0.2 * jerk[1]


def test_rows_that_a_file_marks_invalid_break_its_clips(
    tmp_path: Path, members: dict[str, np.ndarray]
) -> None:
    valid = np.ones(len(members["source_clip"]), bool)
    valid[[5, 6, 25]] = False
    np.savez(tmp_path / "pair.npz", **members, source_valid=valid)
    read = open_domains(tmp_path / "pair.npz").adaptation()
    assert continuous_runs(read.source).bincount().tolist()[:5] == [5, 13, 5, 14, 20]
    assert continuous_runs(read.source_val).bincount().tolist()[:2] == [20, 20]
