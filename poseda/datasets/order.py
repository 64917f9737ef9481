"""Which rows of a table are consecutive frames: what windows of several frames may span."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.records import LabelledPoses, UnlabelledPoses
from poseda.geometry.camera import Camera


def continuous_runs(poses: LabelledPoses | UnlabelledPoses) -> Tensor:
    """Number the stretches of consecutive frames: (N,) int64 that counts up wherever a stretch ends.

    A stretch ends with its clip, where the camera changes, and where frames are missing: where the column
    ``frame`` does not rise by its smallest step. (A recording of which every third frame is kept is thus in
    one piece.) Without that column, successive rows of a clip are taken for successive frames.
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
    """What keeps rows from being sequences, as the end of a sentence; None where nothing does."""
    clips = poses.clip.unique_consecutive()
    names, runs = clips.unique(return_counts=True)
    if len(clips) > len(names):
        first = int(names[runs > 1][0])
        return f"rows in another order (clip {first} stands in {int(runs.max())} places)"
    together = (continuous_runs(poses).diff() == 0).cpu().numpy()
    if not together.any():
        return "no two rows that are"
    time = poses.columns.get("time")
    if time is not None and time.dtype.kind in "iuf" and bool((np.diff(time)[together] < 0).any()):
        row = int(np.flatnonzero(together & (np.diff(time) < 0))[0])
        return f"a time that falls within clip {int(poses.clip[row])}"
    return None
