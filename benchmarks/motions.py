"""Files of 3D poses as one source, with clips held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from poseda.datasets import LabelledPoses, read_source
from poseda.datasets.own import split_source
from poseda.datasets.records import concatenated
from poseda.geometry.skeleton import H36M16


def read_motions(
    paths: Sequence[Path], before: tuple[LabelledPoses, LabelledPoses] | None = None
) -> tuple[LabelledPoses, LabelledPoses]:
    """The poses of files to learn from, and those held back. Each file has clips of its own.

    Columns that not all files have are left out, among others the cameras' rotations. Upward is then found by
    the bodies.

    Args:
        paths: of files or folders, as for ``--source`` of `poseda adapt`.
        before: poses of both kinds that come first.
    """
    tables = [] if before is None else [before]
    for path in paths:
        source, held = split_source(read_source(path, skeleton=H36M16))
        clips = 1 + max(int(part.clip.max()) for part in tables[-1]) if tables else 0
        tables.append((replace(source, clip=source.clip + clips), replace(held, clip=held.clip + clips)))
    return concatenated([source for source, _ in tables]), concatenated([held for _, held in tables])
