"""Files of `poseda lift` by their content. This needs no torch."""

from __future__ import annotations

from pathlib import Path

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.npz import Archive

KEY = ("clip", "person", "frame")
"""What tells the rows of an export apart."""

OWN = "3D poses of poseda lift, for --weak-labels of poseda adapt, or --source if lifted with --root"
"""What such a file is, and which options take it."""


def is_own_npz(archive: Archive) -> bool:
    """An npz of `poseda lift`."""
    return all(name in archive for name in ("pose_3d", "valid", "joint_names", "parents"))


def is_own_json(file: Field) -> bool:
    """JSON of `poseda lift`; that of 0.1.0 is a list of frames."""
    frames = file.value.get("frames") if isinstance(file.value, dict) else file.value
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and {*KEY, "valid", "pose_3d"} <= first.keys()


def is_own_csv(path: Path) -> bool:
    """A CSV of `poseda lift`."""
    with path.open(errors="replace") as content:
        return content.readline(200).startswith(",".join((*KEY, "valid")))
