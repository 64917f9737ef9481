"""Runs of consecutive frames in a table of poses: a window of several frames stays within one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.records import LabelledPoses, UnlabelledPoses
from poseda.geometry.camera import Camera


def continuous_runs(poses: LabelledPoses | UnlabelledPoses) -> Tensor:
    """Number the runs of consecutive frames.

    A run ends with its clip, where the camera changes, and where frames are missing. Frames are missing where
    the column ``frame`` does not rise by its smallest step. A clip that keeps every third frame is thus one
    run. Without the column, successive rows of a clip count as successive frames.

    Returns:
        (N,) int64, the number of each row's run; it rises by one from run to run.
    """
    marks = [poses.clip, *(getattr(poses.camera, entry.name) for entry in fields(Camera))]
    tables = [mark.cpu().numpy() for mark in marks if mark is not None and len(mark) > 1]
    columns = poses.columns if isinstance(poses, LabelledPoses) else {}
    if "camera" in columns:
        tables.append(columns["camera"])
    joined = np.ones(len(poses) - 1, bool)
    for table in tables:
        joined &= (table[1:] == table[:-1]).reshape(len(joined), -1).all(1)
    frame = columns.get("frame")
    if frame is not None and frame.dtype.kind in "iu":
        step = np.diff(frame.astype(np.int64))
        rising = step[joined & (step > 0)]
        joined &= step == (rising.min() if len(rising) else 1)
    return torch.from_numpy(np.concatenate([[0], np.cumsum(~joined)])).to(poses.clip.device)


def why_unordered(poses: LabelledPoses) -> str | None:
    """Say why rows are not frames in order, as the end of a sentence; None if they are in order."""
    clips = poses.clip.unique_consecutive()
    names, parts = clips.unique(return_counts=True)
    if len(clips) > len(names):
        first = int(names[parts > 1][0])
        return f"rows out of order (clip {first} is split into {int(parts[names == first])} parts)"
    together = (continuous_runs(poses).diff() == 0).cpu().numpy()
    if not together.any():
        return "no two consecutive frames"
    time = poses.columns.get("time")
    if time is not None and time.dtype.kind in "iuf" and bool((np.diff(time)[together] < 0).any()):
        row = int(np.flatnonzero(together & (np.diff(time) < 0))[0])
        return f"a time that decreases within clip {int(poses.clip[row])}"
    return None
